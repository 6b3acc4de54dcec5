//go:build !unix || openbsd || netbsd || solaris || aix

package store

// DiskOf is not known here.
func DiskOf(string) Disk { return Disk{} }
