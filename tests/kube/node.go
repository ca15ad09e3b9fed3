package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
)

// runNode makes a machine that everything of one node runs in: namespaces of its own for network,
// mounts, processes and host name. It lasts as long as this process, and all of it goes at once: the
// kernel kills every process of a namespace with its first, then undoes its mounts, detaches its loop
// devices and removes its links. So nothing is left behind, whoever is killed.
//
// The folder is what the machine keeps from one start to the next. The id of the namespaces' first
// process is written to the file `pid` in it once the machine is there.
func runNode(arguments []string) error {
	if len(arguments) != 2 {
		return errors.New("usage: node FOLDER NAME")
	}
	folder := arguments[0]
	// The signal for the parent's end comes with the end of the thread that started the child.
	runtime.LockOSThread()
	first := exec.Command("/proc/self/exe", append([]string{"node-init"}, arguments...)...)
	first.Stdout, first.Stderr = os.Stdout, os.Stderr
	ready, readyToo, err := os.Pipe()
	if err != nil {
		return err
	}
	first.ExtraFiles = []*os.File{readyToo}
	first.Env = []string{"PATH=" + os.Getenv("PATH")}
	first.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET | syscall.CLONE_NEWUTS,
		Pdeathsig:  syscall.SIGKILL,
	}
	if err := first.Start(); err != nil {
		return err
	}
	readyToo.Close()
	if count, err := ready.Read(make([]byte, 1)); count != 1 {
		return errors.Join(err, first.Wait())
	}
	half := filepath.Join(folder, "pid.new")
	if err := os.WriteFile(half, []byte(strconv.Itoa(first.Process.Pid)), 0o600); err != nil {
		return err
	}
	if err := os.Rename(half, filepath.Join(folder, "pid")); err != nil {
		return err
	}
	return first.Wait()
}

// runNodeInit is the first process of a node: it makes the mounts, then gathers the processes that lost
// their parents.
func runNodeInit(arguments []string) error {
	folder, name := arguments[0], arguments[1]
	if err := syscall.Sethostname([]byte(name)); err != nil {
		return err
	}
	mounts := []struct {
		source, target, kind string
		flags                uintptr
	}{
		{"none", "/", "", syscall.MS_REC | syscall.MS_PRIVATE},
		{"proc", "/proc", "proc", 0},
		// Sockets, the networks of pods and their mounts: gone at every start, as with a real machine.
		{"run", "/run", "tmpfs", 0},
		// What the kubelet, containerd and the network plugins keep.
		{filepath.Join(folder, "lib"), "/var/lib", "", syscall.MS_BIND},
		{filepath.Join(folder, "log"), "/var/log", "", syscall.MS_BIND},
		// The kubelet wants its mounts to be seen by containers.
		{"none", "/", "", syscall.MS_REC | syscall.MS_SHARED},
	}
	for _, one := range mounts {
		if one.flags == syscall.MS_BIND {
			if err := os.MkdirAll(one.source, 0o755); err != nil {
				return err
			}
		}
		if err := syscall.Mount(one.source, one.target, one.kind, one.flags, ""); err != nil {
			return fmt.Errorf("mount %s: %w", one.target, err)
		}
	}
	ready := os.NewFile(3, "ready")
	if _, err := ready.Write([]byte{1}); err != nil {
		return err
	}
	ready.Close()
	for {
		_, err := syscall.Wait4(-1, nil, 0, nil)
		if errors.Is(err, syscall.ECHILD) {
			// Nobody lost a parent yet, and no signal says when one has: those that nobody awaits are few.
			syscall.Nanosleep(&syscall.Timespec{Nsec: 200_000_000}, nil)
		}
	}
}
