// Command hello greets, and needs enough public modules for a module proxy to have something to do: a long
// dependency tree, an upper-case path, a +incompatible version and pseudo-versions.
package main

import (
	"fmt"
	"os"

	"github.com/BurntSushi/toml"
	"github.com/dustin/go-humanize"
	"github.com/fatih/color"
	gofrs "github.com/gofrs/uuid"
	"github.com/google/uuid"
	"github.com/mattn/go-runewidth"
	"github.com/mgutz/ansi"
	"github.com/mitchellh/go-wordwrap"
	"github.com/pkg/errors"
	"github.com/spf13/cobra"
	"golang.org/x/mod/semver"
	"golang.org/x/sync/errgroup"
	"gopkg.in/yaml.v3"
	"rsc.io/quote/v3"
)

const settings = "name = \"world\"\ncount = 1234567\n"

type config struct {
	Name  string `toml:"name"`
	Count int64  `toml:"count"`
}

func main() {
	command := &cobra.Command{Use: "hello", Short: "Greets the world.", SilenceUsage: true, RunE: func(*cobra.Command, []string) error {
		return greet()
	}}
	if err := command.Execute(); err != nil {
		os.Exit(1)
	}
}

func greet() error {
	var settled config
	var group errgroup.Group
	group.Go(func() error {
		_, err := toml.Decode(settings, &settled)
		return errors.Wrap(err, "read the settings")
	})
	if err := group.Wait(); err != nil {
		return err
	}
	report, err := yaml.Marshal(map[string]any{
		"go":       quote.GoV3(),
		"modules":  humanize.Comma(settled.Count),
		"newer":    semver.Compare("v1.2.0", "v1.10.0") < 0,
		"width":    runewidth.StringWidth("世界"),
		"uuids":    len(uuid.NewString()) + len(gofrs.Nil.String()),
		"wrapped":  wordwrap.WrapString("one line that is too long", 12),
		"coloured": ansi.Color("yes", "green"),
	})
	if err != nil {
		return errors.Wrap(err, "write the report")
	}
	fmt.Println(color.GreenString("hello, %s", settled.Name))
	fmt.Print(string(report))
	return nil
}
