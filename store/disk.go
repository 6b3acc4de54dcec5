//go:build unix && !openbsd && !netbsd && !solaris && !aix

package store

import "syscall"

// DiskOf is the disk that a file or folder of this machine lies on; zero when it cannot be told.
func DiskOf(path string) Disk {
	var fs syscall.Statfs_t
	if syscall.Statfs(path, &fs) != nil {
		return Disk{}
	}
	block := int64(fs.Bsize) //nolint:unconvert // other systems have another type
	return Disk{Bytes: int64(fs.Blocks) * block, Free: int64(fs.Bavail) * block}
}
