package contract

import (
	"encoding/json"
	"fmt"
	"regexp"
)

// fill returns the interaction with its placeholders replaced. values must have all
// names in With.
func (i *Interaction) fill(values map[string]string) (*Interaction, error) {
	for name := range i.With {
		if _, there := values[name]; !there {
			return nil, fmt.Errorf("given %q has no value for ${%s}", i.Given, name)
		}
	}
	text, err := json.Marshal(i)
	if err != nil {
		return nil, err
	}
	placeholder := regexp.MustCompile(`\$\{(\w+)\}`)
	var unknown error
	text = placeholder.ReplaceAllFunc(text, func(found []byte) []byte {
		name := string(placeholder.FindSubmatch(found)[1])
		if _, declared := i.With[name]; !declared {
			unknown = fmt.Errorf("${%s} is not one of the values in with", name)
			return found
		}
		escaped, err := json.Marshal(values[name])
		if err != nil {
			unknown = err
			return found
		}
		return escaped[1 : len(escaped)-1] // it is inside quotes
	})
	if unknown != nil {
		return nil, unknown
	}
	filled := &Interaction{between: i.between}
	return filled, json.Unmarshal(text, filled)
}
