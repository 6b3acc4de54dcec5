package hotpath

import "testing"

// A password that everybody knows is none: the user's own name, in whatever spelling (NIST SP 800-63B §5.1.1.2).
func TestNewPasswordIsNotTheUserName(t *testing.T) {
	n := newTown(t)
	const name = "violet.harbour.kites.17" // long and odd enough for a password
	n.enrol(n.server.front.Door.Hasher, name)
	b := n.signedIn(name)
	for _, chosen := range []string{name, "Violet.HARBOUR.Kites.17", " " + name + " "} {
		b.wantPage(b.post("/profile/password", "old", annasPassword, "new", chosen), 422, "is your user name")
	}
	b.wantPage(b.get("/profile"), 200, name) // nothing has changed: the session stands
	b.wantPage(b.follow(b.post("/profile/password", "old", annasPassword, "new", name+" and more")), 200, "Your password is changed")
}
