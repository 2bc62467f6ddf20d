// Command argocd is those parts of Argo CD that bring a cluster to what a git
// repository says, as one program: `make gitops` runs them beside a cluster that
// has no Argo CD of its own. Its manifests for clusters are not needed for that.
//
//	git ─▶ repo-server ─▶ application-controller ─▶ cluster ─▶ notifications-controller
//	               applicationset-controller ┘ └ redis (a cache, in memory)
package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/alicebob/miniredis/v2"
	"github.com/spf13/cobra"

	controller "github.com/argoproj/argo-cd/v3/cmd/argocd-application-controller/commands"
	applicationset "github.com/argoproj/argo-cd/v3/cmd/argocd-applicationset-controller/commands"
	notifications "github.com/argoproj/argo-cd/v3/cmd/argocd-notification/commands"
	reposerver "github.com/argoproj/argo-cd/v3/cmd/argocd-repo-server/commands"
)

func main() {
	root := &cobra.Command{Use: "argocd", SilenceUsage: true, SilenceErrors: true}
	root.AddCommand(redis())
	for name, command := range map[string]*cobra.Command{
		"application-controller": controller.NewCommand(), "applicationset-controller": applicationset.NewCommand(),
		"notifications-controller": notifications.NewCommand(), "repo-server": reposerver.NewCommand(),
	} {
		command.Use = name
		root.AddCommand(command)
	}
	if err := root.Execute(); err != nil {
		fmt.Fprintln(os.Stderr, "argocd:", err)
		os.Exit(1)
	}
}

func redis() *cobra.Command {
	return &cobra.Command{Use: "redis ADDRESS", Args: cobra.ExactArgs(1), RunE: func(command *cobra.Command, args []string) error {
		ctx, stop := signal.NotifyContext(command.Context(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		server := miniredis.NewMiniRedis()
		if err := server.StartAddr(args[0]); err != nil {
			return err
		}
		defer server.Close()
		<-ctx.Done()
		return nil
	}}
}
