package config_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"example.com/pizza/pkg/config"
)

type shop struct {
	Name    string        `env:"SHOP_NAME,required,notEmpty" doc:"Name over the door"`
	Ovens   int           `env:"SHOP_OVENS" envDefault:"2" doc:"Number of ovens"`
	Timeout time.Duration `env:"SHOP_TIMEOUT" envDefault:"5s" doc:"Patience"`
}

func (s shop) Validate() error {
	if s.Ovens > 9 {
		return errors.Join(errors.New("SHOP_OVENS must be at most 9"), errors.New("SHOP_NAME must say why"))
	}
	return nil
}

type town struct {
	Shop   shop
	Secret string `env:"TOWN_SECRET,required,notEmpty" doc:"Known to few"`
}

func TestLoad(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		environ []string
		want    town
		wrong   []string // in the error; nil for success
	}{
		{
			name:    "ok",
			environ: []string{"SHOP_NAME=강남점", "SHOP_OVENS=3", "TOWN_SECRET=a=b"},
			want:    town{Shop: shop{Name: "강남점", Ovens: 3, Timeout: 5 * time.Second}, Secret: "a=b"},
		},
		{
			name:    "every_wrong_variable_is_named_at_once",
			environ: []string{"SHOP_OVENS=many", "SHOP_TIMEOUT=soon", "TOWN_SECRET="},
			wrong: []string{
				"SHOP_NAME is required", "SHOP_OVENS must be a whole number",
				"SHOP_TIMEOUT must be a duration, such as 5s", "TOWN_SECRET must not be empty",
			},
		},
		{
			name:    "rules_of_the_struct",
			environ: []string{"SHOP_NAME=x", "SHOP_OVENS=10", "TOWN_SECRET=hunter2"},
			wrong:   []string{"SHOP_OVENS must be at most 9", "SHOP_NAME must say why"},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := config.Load[town](test.environ)
			if test.wrong == nil {
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(test.want, got); diff != "" {
					t.Error(diff)
				}
				return
			}
			if err == nil {
				t.Fatal("accepted")
			}
			for _, w := range test.wrong {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("the error does not say %q:\n%v", w, err)
				}
			}
			if lines := strings.Count(err.Error(), "\n"); lines != len(test.wrong) {
				t.Errorf("%d problems reported, want %d:\n%v", lines, len(test.wrong), err)
			}
			for _, value := range []string{"many", "soon", "hunter2"} {
				if strings.Contains(err.Error(), value) {
					t.Errorf("the error repeats the value %q", value)
				}
			}
		})
	}
}

// Fields of two structs can have the same name.
func TestProblemIsOfTheRightVariable(t *testing.T) {
	t.Parallel()
	type first struct {
		Menu string `env:"MENU_NAME"`
	}
	type second struct {
		Menu *int `env:"MENU_SIZE"`
	}
	_, err := config.Load[struct {
		First  first
		Second second
	}]([]string{"MENU_SIZE=many"})
	const want = "invalid configuration:\n  - MENU_SIZE must be a whole number"
	if err == nil || err.Error() != want {
		t.Error(err)
	}
}

func TestDescribe(t *testing.T) {
	t.Parallel()
	want := []config.Variable{
		{Name: "SHOP_NAME", Doc: "Name over the door", Required: true},
		{Name: "SHOP_OVENS", Default: "2", Doc: "Number of ovens"},
		{Name: "SHOP_TIMEOUT", Default: "5s", Doc: "Patience"},
		{Name: "TOWN_SECRET", Doc: "Known to few", Required: true},
	}
	got := config.Describe(reflect.TypeFor[town]())
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(config.Variable{}, "Type", "Rule"), cmpopts.IgnoreUnexported(config.Variable{})); diff != "" {
		t.Error(diff)
	}
}
