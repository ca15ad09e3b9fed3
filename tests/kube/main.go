// Command kube is every component of a Kubernetes cluster in one program; its first argument picks one.
//
// The components are the projects' own, imported as libraries and built once. So the tests have a real
// API server, scheduler, controllers, kubelets, cluster DNS and etcd without a download of programs.
package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/health"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/log"
	_ "github.com/coredns/coredns/plugin/ready"
	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	kubectl "k8s.io/kubectl/pkg/cmd"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

// commands are the components that cobra runs.
var commands = map[string]func() *cobra.Command{
	"kube-apiserver":          apiserver.NewAPIServerCommand,
	"kube-controller-manager": controllers.NewControllerManagerCommand,
	"kube-scheduler":          func() *cobra.Command { return scheduler.NewSchedulerCommand() },
	// It installs the handler of signals itself; a second one would panic.
	"kubelet":    func() *cobra.Command { return kubelet.NewKubeletCommand(context.Background()) },
	"kube-proxy": proxy.NewProxyCommand,
	"kubectl":    kubectl.NewDefaultKubectlCommand,
}

// programs are those that run themselves.
var programs = map[string]func(arguments []string) error{
	"coredns": func([]string) error {
		// The order in which a query passes the plugins.
		dnsserver.Directives = []string{"errors", "log", "ready", "health", "kubernetes"}
		coremain.Run()
		return nil
	},
	"etcd": func([]string) error {
		etcdmain.Main(os.Args)
		return nil
	},
	"keys":      writeKeys,
	"node":      runNode,
	"node-init": runNodeInit,
}

func main() {
	name := ""
	if len(os.Args) > 1 {
		name = os.Args[1]
	}
	if os.Getenv("MDFS_ENDS_WITH_PARENT") != "" {
		go endWithParent(os.Getppid())
	}
	// Each component finds its own name first, as if it were a program of its own.
	os.Args = append([]string{name}, os.Args[min(2, len(os.Args)):]...)
	if command, known := commands[name]; known {
		os.Exit(cli.Run(command()))
	}
	program, known := programs[name]
	if !known {
		names := []string{}
		for name := range commands {
			names = append(names, name)
		}
		for name := range programs {
			names = append(names, name)
		}
		slices.Sort(names)
		fmt.Fprintf(os.Stderr, "usage: kube NAME ...\nnames: %s\n", strings.Join(names, " "))
		os.Exit(2)
	}
	if err := program(os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(1)
	}
}

// endWithParent ends this process soon after the one that started it, however that ended. The kernel's
// own signal for it would come with the end of the thread that started it, which may be one test's.
func endWithParent(parent int) {
	for os.Getppid() == parent {
		time.Sleep(300 * time.Millisecond)
	}
	os.Exit(1)
}
