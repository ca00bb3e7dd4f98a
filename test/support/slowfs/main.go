// slowfs shows a folder at a second path, where each call on a file takes its time, as on a network volume.
//
//	slowfs [-delay 1ms] [-listing 0] SOURCE MOUNTPOINT
//
// It says "mounted" once it is. On SIGTERM it unmounts, and says how many calls were under way at a time, at most. Calls
// are answered side by side: who makes one after the other waits for each of them, who makes many at a time waits once.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

var (
	perCall = flag.Duration("delay", time.Millisecond, "what each call takes")
	perName = flag.Duration("listing", 0, "what each name of a listing takes")
)

func main() {
	flag.Parse()
	if flag.NArg() != 2 {
		fmt.Fprintln(os.Stderr, "usage: slowfs [-delay 1ms] [-listing 0] SOURCE MOUNTPOINT")
		os.Exit(2)
	}
	if err := serve(flag.Arg(0), flag.Arg(1)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve(source, mountpoint string) error {
	var stat syscall.Stat_t
	if err := syscall.Stat(source, &stat); err != nil {
		return err
	}
	root := &fs.LoopbackRoot{Path: source, Dev: uint64(stat.Dev)}
	root.NewNode = func(root *fs.LoopbackRoot, _ *fs.Inode, _ string, _ *syscall.Stat_t) fs.InodeEmbedder {
		return &slow{fs.LoopbackNode{RootData: root}}
	}
	root.RootNode = root.NewNode(root, nil, "", &stat)
	// Nothing is remembered: every look is a call.
	var never time.Duration
	server, err := fs.Mount(mountpoint, root.RootNode, &fs.Options{
		EntryTimeout:    &never,
		AttrTimeout:     &never,
		NullPermissions: true,
		MountOptions:    fuse.MountOptions{AllowOther: true, DirectMount: true, FsName: "slowfs", MaxBackground: 256},
	})
	if err != nil {
		return err
	}
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		<-ended
		fmt.Println("at most", most.Load(), "calls at a time")
		_ = server.Unmount()
		// Where another mount namespace has a copy of the mount, the kernel goes on asking.
		time.Sleep(time.Second)
		os.Exit(0)
	}()
	fmt.Println("mounted")
	server.Wait()
	fmt.Println("at most", most.Load(), "calls at a time")
	return nil
}

// slow is a file or folder of the source.
type slow struct{ fs.LoopbackNode }

var underWay, most atomic.Int64

func wait() {
	now := underWay.Add(1)
	defer underWay.Add(-1)
	for seen := most.Load(); now > seen && !most.CompareAndSwap(seen, now); seen = most.Load() {
	}
	time.Sleep(*perCall)
}

func (n *slow) Lookup(ctx context.Context, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	wait()
	return n.LoopbackNode.Lookup(ctx, name, out)
}

func (n *slow) Getattr(ctx context.Context, file fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	wait()
	return n.LoopbackNode.Getattr(ctx, file, out)
}

// Statx is of the file itself: the library's own follows links.
func (n *slow) Statx(ctx context.Context, file fs.FileHandle, flags uint32, mask uint32, out *fuse.StatxOut) syscall.Errno {
	wait()
	return n.LoopbackNode.Statx(ctx, file, flags|unix.AT_SYMLINK_NOFOLLOW, mask, out)
}

func (n *slow) Setattr(ctx context.Context, file fs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	wait()
	return n.LoopbackNode.Setattr(ctx, file, in, out)
}

func (n *slow) Create(ctx context.Context, name string, flags uint32, mode uint32, out *fuse.EntryOut) (*fs.Inode, fs.FileHandle, uint32, syscall.Errno) {
	wait()
	return n.LoopbackNode.Create(ctx, name, flags, mode, out)
}

func (n *slow) Open(ctx context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	wait()
	return n.LoopbackNode.Open(ctx, flags)
}

func (n *slow) Mkdir(ctx context.Context, name string, mode uint32, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	wait()
	return n.LoopbackNode.Mkdir(ctx, name, mode, out)
}

func (n *slow) Rename(ctx context.Context, name string, parent fs.InodeEmbedder, to string, flags uint32) syscall.Errno {
	wait()
	return n.LoopbackNode.Rename(ctx, name, parent, to, flags)
}

func (n *slow) Unlink(ctx context.Context, name string) syscall.Errno {
	wait()
	return n.LoopbackNode.Unlink(ctx, name)
}

func (n *slow) OpendirHandle(ctx context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	file, more, errno := n.LoopbackNode.OpendirHandle(ctx, flags)
	if errno != 0 || *perName == 0 {
		return file, more, errno
	}
	return &listing{file}, more, errno
}

// listing is an open folder whose names come one by one.
type listing struct{ inner fs.FileHandle }

func (l *listing) Readdirent(ctx context.Context) (*fuse.DirEntry, syscall.Errno) {
	time.Sleep(*perName)
	return l.inner.(fs.FileReaddirenter).Readdirent(ctx)
}

func (l *listing) Seekdir(ctx context.Context, offset uint64) syscall.Errno {
	return l.inner.(fs.FileSeekdirer).Seekdir(ctx, offset)
}

func (l *listing) Releasedir(ctx context.Context, flags uint32) {
	l.inner.(fs.FileReleasedirer).Releasedir(ctx, flags)
}
