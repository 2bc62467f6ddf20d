package menu_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/pizza/pkg/fault"
	"example.com/pizza/pkg/money"
	"example.com/pizza/services/menu/internal/menu"
)

// mustRefuse checks that err names exactly these bad fields; nil means that
// there is no error.
func mustRefuse(t *testing.T, err error, want []fault.Field) {
	t.Helper()
	if want == nil {
		if err != nil {
			t.Errorf("refused: %v", err)
		}
		return
	}
	var e *fault.Error
	if !errors.As(err, &e) || e.Code != fault.Invalid {
		t.Fatalf("%v, want Invalid", err)
	}
	if diff := cmp.Diff(want, e.Fields); diff != "" {
		t.Error(diff)
	}
}

func TestTypeValidate(t *testing.T) {
	t.Parallel()
	const (
		path    = "must be a relative path, such as images/durian.png: no scheme, no leading slash, no .."
		control = "must not contain control characters"
		blank   = "must not start or end with a space"
	)
	ok := menu.Type{ID: "durian", Name: "두리안 피자", Category: "Veggie", Image: "images/durian.png"}
	with := func(change func(*menu.Type)) menu.Type {
		changed := ok
		change(&changed)
		return changed
	}
	image := func(s string) menu.Type { return with(func(m *menu.Type) { m.Image = s }) }
	text := func(n int) string { return strings.Repeat("두", n) }
	for name, test := range map[string]struct {
		input menu.Type
		want  []fault.Field
	}{
		"ok":      {ok, nil},
		"longest": {menu.Type{ID: text(50), Name: text(50), Category: text(50), Image: strings.Repeat("i", 100)}, nil},
		"nothing": {menu.Type{}, []fault.Field{
			{Field: "id", Message: "is required"}, {Field: "pizza_nm", Message: "is required"},
			{Field: "pizza_categ", Message: "is required"}, {Field: "pizza_img_url", Message: "is required"},
		}},
		"too_long": {menu.Type{ID: text(51), Name: text(51), Category: text(51), Image: strings.Repeat("i", 101)}, []fault.Field{
			{Field: "id", Message: "must be at most 50 characters"}, {Field: "pizza_nm", Message: "must be at most 50 characters"},
			{Field: "pizza_categ", Message: "must be at most 50 characters"}, {Field: "pizza_img_url", Message: "must be at most 100 characters"},
		}},
		"line_break":        {with(func(m *menu.Type) { m.Name = "a\nb" }), []fault.Field{{Field: "pizza_nm", Message: control}}},
		"nul_in_id":         {with(func(m *menu.Type) { m.ID = "a\x00" }), []fault.Field{{Field: "id", Message: control}}},
		"invalid_utf8":      {with(func(m *menu.Type) { m.ID = "a\xff" }), []fault.Field{{Field: "id", Message: "must be UTF-8"}}},
		"blank_at_the_end":  {with(func(m *menu.Type) { m.Category = "Veggie " }), []fault.Field{{Field: "pizza_categ", Message: blank}}},
		"name_invisible":    {with(func(m *menu.Type) { m.Name = "\u3164" }), []fault.Field{{Field: "pizza_nm", Message: "must not contain U+3164, which cannot be seen"}}},
		"name_turned":       {with(func(m *menu.Type) { m.Name = "Pizza\u202e" }), []fault.Field{{Field: "pizza_nm", Message: "must not contain U+202E, which cannot be seen"}}},
		"category_unseen":   {with(func(m *menu.Type) { m.Category = "Veg\u200bgie" }), []fault.Field{{Field: "pizza_categ", Message: "must not contain U+200B, which cannot be seen"}}},
		"id_of_old_system":  {with(func(m *menu.Type) { m.ID = "du\u200brian" }), nil}, // rejected only for new rows
		"image_in_a_folder": {image("images/2026/durian (1).png"), nil},
		"image_two_dots":    {image("images/a..b.png"), nil},
		"image_url":         {image("https://evil.example/x.png"), []fault.Field{{Field: "pizza_img_url", Message: path}}},
		"image_script":      {image("javascript:alert(1)"), []fault.Field{{Field: "pizza_img_url", Message: path}}},
		"image_absolute":    {image("/etc/passwd"), []fault.Field{{Field: "pizza_img_url", Message: path}}},
		"image_other_host":  {image("//evil.example/x.png"), []fault.Field{{Field: "pizza_img_url", Message: path}}},
		"image_upwards":     {image("images/../../x.png"), []fault.Field{{Field: "pizza_img_url", Message: path}}},
		"image_upwards_hid": {image("images/%2e%2e/x.png"), []fault.Field{{Field: "pizza_img_url", Message: path}}},
		"image_windows":     {image(`images\..\x.png`), []fault.Field{{Field: "pizza_img_url", Message: path}}},
		"image_query":       {image("images/x.png?y=1"), []fault.Field{{Field: "pizza_img_url", Message: path}}},
		"image_fragment":    {image("images/x.png#y"), []fault.Field{{Field: "pizza_img_url", Message: path}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mustRefuse(t, test.input.Validate(), test.want)
		})
	}
}

func TestNewPizzaValidate(t *testing.T) {
	t.Parallel()
	const bounds = "must be more than 0 and at most 9999.99"
	priced := func(price string) menu.NewPizza {
		p := money.MustParse(price)
		return menu.NewPizza{ID: "durian_l", TypeID: "durian", Size: "L", Price: &p}
	}
	for name, test := range map[string]struct {
		input menu.NewPizza
		want  []fault.Field
	}{
		"cheapest": {priced("0.01"), nil},
		"dearest":  {priced("9999.99"), nil},
		"free":     {priced("0"), []fault.Field{{Field: "price", Message: bounds}}},
		"negative": {priced("-1"), []fault.Field{{Field: "price", Message: bounds}}},
		"too_dear": {priced("10000"), []fault.Field{{Field: "price", Message: bounds}}},
		"nothing": {menu.NewPizza{}, []fault.Field{
			{Field: "id", Message: "is required"}, {Field: "pizza_type_id", Message: "is required"},
			{Field: "size", Message: "is required"}, {Field: "price", Message: "is required"},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mustRefuse(t, test.input.Validate(), test.want)
		})
	}
}

func TestValidateLines(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		input []menu.Line
		want  []fault.Field
	}{
		"most": {linesOf(menu.MaxLines), nil},
		"none": {nil, []fault.Field{{Field: "lines", Message: "must have at least 1 line"}}},
		"more": {linesOf(menu.MaxLines + 1), []fault.Field{{Field: "lines", Message: "must have at most 50 lines"}}},
		"every_bad_line": {[]menu.Line{{}, {PizzaID: "x"}, {Name: "x"}, {Size: "L"}}, []fault.Field{
			{Field: "lines[0]", Message: "must name a pizza: pizza_id, or pizza_nm and size"},
			{Field: "lines[2].size", Message: "is required"},
			{Field: "lines[3].pizza_nm", Message: "is required"},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mustRefuse(t, menu.ValidateLines(test.input), test.want)
		})
	}
}

func linesOf(n int) []menu.Line {
	lines := make([]menu.Line, n)
	for i := range lines {
		lines[i].PizzaID = "bbq_m"
	}
	return lines
}
