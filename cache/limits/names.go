package limits

import (
	"context"
	"strings"

	"oauth2-server/store"
)

// maxNames bounds the users that are read to find names.
const maxNames = 10_000

// operatorPrefix begins the names under which the operators' door counts: admin.NameSpace.
const operatorPrefix = "admin:"

// Names lists the names that may be told where only a hash of one was kept.
type Names func(ctx context.Context) ([]string, error)

// A Directory is who is registered; storetest.Store says what each method promises.
type Directory interface {
	Clients(ctx context.Context) ([]store.Client, error)
	Users(ctx context.Context, after string, limit int) ([]store.User, error)
}

// NamesOf are the clients, and the first 10,000 of the users. What anybody else called himself stays a hash.
func NamesOf(d Directory) Names {
	return func(ctx context.Context) ([]string, error) {
		clients, err := d.Clients(ctx)
		if err != nil {
			return nil, err
		}
		users, err := d.Users(ctx, "", maxNames)
		if err != nil {
			return nil, err
		}
		all := make([]string, 0, len(clients)+2*len(users))
		for i := range clients {
			all = append(all, clients[i].ID)
		}
		for i := range users {
			all = append(all, users[i].Username, operatorPrefix+users[i].Username)
		}
		return all, nil
	}
}

// reveal puts names in the place of their hashes. Nobody is listed where there is no hash.
func (list Names) reveal(ctx context.Context, tops ...[]KeyStat) error {
	var hashes []*KeyStat
	for _, top := range tops {
		for i := range top {
			if name, _ := hiddenName(top[i].Key); name != "" {
				hashes = append(hashes, &top[i])
			}
		}
	}
	if list == nil || len(hashes) == 0 {
		return nil
	}
	names, err := list(ctx)
	if err != nil {
		return err
	}
	known := make(map[string]string, len(names))
	for _, name := range names {
		hash, _ := appendHidden(nil, []byte(name))
		known[string(hash)] = name
	}
	for _, k := range hashes {
		hash, rest := hiddenName(k.Key)
		if name := known[hash]; name != "" {
			k.Key = name + rest
		}
	}
	return nil
}

// hiddenName is the hash at the beginning of a key, "" where there is none, and what follows it.
func hiddenName(key string) (hash, rest string) {
	hash, _, _ = strings.Cut(key, "@")
	if !isHidden(hash) {
		return "", key
	}
	return hash, key[len(hash):]
}
