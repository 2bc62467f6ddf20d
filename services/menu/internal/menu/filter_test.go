package menu_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/unicode/norm"

	"example.com/pizza/pkg/fault"
	"example.com/pizza/services/menu/internal/menu"
)

func TestFilter(t *testing.T) {
	t.Parallel()
	all := []string{"bbq_m", "bbq_xl", "bbq_party", "bul_m", "old_l", "old_xxl", "veg_s", "veg_l"}
	for name, test := range map[string]struct {
		filter menu.Filter
		want   []string
	}{
		"none":                  {menu.Filter{}, all},
		"part_of_the_name":      {menu.Filter{Query: "becue"}, []string{"bbq_m", "bbq_xl", "bbq_party"}},
		"name_in_other_case":    {menu.Filter{Query: "GREEN pIZZA"}, []string{"old_l", "old_xxl", "veg_s", "veg_l"}},
		"korean":                {menu.Filter{Query: "불고기"}, []string{"bul_m"}},
		"korean_decomposed":     {menu.Filter{Query: norm.NFD.String("불고기")}, []string{"bul_m"}},
		"only_the_name":         {menu.Filter{Query: "veggie"}, []string{}},
		"pattern_is_text":       {menu.Filter{Query: "%"}, []string{}},
		"sql_is_text":           {menu.Filter{Query: "' OR '1'='1"}, []string{}},
		"category":              {menu.Filter{Category: "veggie"}, []string{"old_l", "old_xxl", "veg_s", "veg_l"}},
		"part_of_a_category":    {menu.Filter{Category: "veg"}, []string{}},
		"size":                  {menu.Filter{Size: "m"}, []string{"bbq_m", "bul_m"}},
		"part_of_a_size":        {menu.Filter{Size: "x"}, []string{}},
		"all_together":          {menu.Filter{Query: "green", Category: "VEGGIE", Size: "l", Sort: menu.SortPriceDown}, []string{"veg_l", "old_l"}},
		"nothing_left":          {menu.Filter{Query: "green", Category: "Chicken"}, []string{}},
		"sort_by_name":          {menu.Filter{Sort: menu.SortName}, []string{"bbq_m", "bbq_xl", "bbq_party", "old_l", "old_xxl", "veg_s", "veg_l", "bul_m"}},
		"sort_by_name_reversed": {menu.Filter{Sort: menu.SortNameDown}, []string{"bul_m", "old_l", "old_xxl", "veg_s", "veg_l", "bbq_m", "bbq_xl", "bbq_party"}},
		"sort_by_price": {
			menu.Filter{Sort: menu.SortPrice},
			[]string{"old_l", "veg_s", "bul_m", "bbq_m", "veg_l", "bbq_xl", "old_xxl", "bbq_party"},
		},
		"sort_by_price_reversed": {
			menu.Filter{Sort: menu.SortPriceDown},
			[]string{"bbq_party", "old_xxl", "bbq_xl", "bbq_m", "veg_l", "bul_m", "veg_s", "old_l"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := test.filter.Validate(); err != nil {
				t.Fatal(err)
			}
			c := sample()
			if diff := cmp.Diff(test.want, ids(c.Filter(test.filter))); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(all, ids(c.Pizzas)); diff != "" {
				t.Error("the catalog itself changed:", diff)
			}
		})
	}
}

func TestFilterValidate(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("피", 51)
	for name, test := range map[string]struct {
		filter menu.Filter
		want   []fault.Field
	}{
		"longest": {menu.Filter{Query: long[3:], Category: long[3:], Size: long[3:]}, nil},
		"every_bad_field": {menu.Filter{Query: long, Category: long, Size: long, Sort: "id"}, []fault.Field{
			{Field: "q", Message: "must be at most 50 characters"},
			{Field: "category", Message: "must be at most 50 characters"},
			{Field: "size", Message: "must be at most 50 characters"},
			{Field: "sort", Message: "must be one of name, -name, price, -price"},
		}},
		"invalid_utf8": {menu.Filter{Query: "\xff"}, []fault.Field{{Field: "q", Message: "must be UTF-8"}}},
		"nul":          {menu.Filter{Size: "a\x00"}, []fault.Field{{Field: "size", Message: "must not contain a NUL character"}}},
		"sort_case":    {menu.Filter{Sort: "Name"}, []fault.Field{{Field: "sort", Message: "must be one of name, -name, price, -price"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mustRefuse(t, test.filter.Validate(), test.want)
		})
	}
}

func FuzzFilter(f *testing.F) {
	f.Add("green", "", "L", "-price")
	f.Add("불고기", "한식", "", "name")
	f.Add("\xff", "ß", "İ", "")
	f.Fuzz(func(t *testing.T, q, category, size, sort string) {
		filter := menu.Filter{Query: q, Category: category, Size: size, Sort: menu.Sort(sort)}
		if err := filter.Validate(); err != nil {
			if fault.CodeOf(err) != fault.Invalid {
				t.Error(err)
			}
			return
		}
		c := sample()
		if got := c.Filter(filter); len(got) > len(c.Pizzas) {
			t.Errorf("%d pizzas of %d", len(got), len(c.Pizzas))
		}
	})
}
