package httpapi

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/pizza/pkg/bind"
	"example.com/pizza/pkg/fault"
	"example.com/pizza/pkg/password"
	"example.com/pizza/services/login/api"
	"example.com/pizza/services/login/internal/login"
)

func TestReadRegistration(t *testing.T) {
	t.Parallel()
	all := login.Registration{ID: "a", Password: "b", Name: "c"}
	for _, test := range []struct {
		name, body string
		want       login.Registration
		sent       bind.Names
	}{
		{"old_names", `{"id":"a","pw":"b","name":"c"}`, all, bind.Names{}},
		{"names_of_the_answers", `{"member_id":"a","password":"b","member_nm":"c"}`, all, bind.Names{"id": "member_id", "pw": "password", "name": "member_nm"}},
		{"names_of_the_table", `{"member_id":"a","member_pwd":"b","member_nm":"c"}`, all, bind.Names{"id": "member_id", "pw": "member_pwd", "name": "member_nm"}},
		{"all_names", `{"member_nm":"c","name":"c","member_id":"a","id":"a","member_pwd":"b","password":"b","pw":"b"}`, all, bind.Names{}},
		{"two_names_of_the_password", `{"id":"a","member_pwd":"b","password":"b","name":"c"}`, all, bind.Names{"pw": "password"}},
		{"null_is_absent", `{"id":null,"member_id":"a","pw":null,"password":null,"member_pwd":"b","name":"c"}`, all, bind.Names{"id": "member_id", "pw": "member_pwd"}},
		{"nothing", `{}`, login.Registration{}, bind.Names{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var body api.Registration
			if err := bind.JSON([]byte(test.body), &body); err != nil {
				t.Fatal(err)
			}
			sent := bind.Names{}
			if diff := cmp.Diff(test.want, readRegistration(body, sent)); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(test.sent, sent); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestReadPasswordChange(t *testing.T) {
	t.Parallel()
	all := login.PasswordChange{Old: "a", New: "b"}
	for _, test := range []struct {
		name, body string
		want       login.PasswordChange
		sent       bind.Names
	}{
		{"short_names", `{"old_pw":"a","new_pw":"b"}`, all, bind.Names{}},
		{"long_names", `{"old_password":"a","new_password":"b"}`, all, bind.Names{"old_pw": "old_password", "new_pw": "new_password"}},
		{"both_names", `{"old_password":"a","old_pw":"a","new_password":"b","new_pw":"b"}`, all, bind.Names{}},
		{"nothing", `{}`, login.PasswordChange{}, bind.Names{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var body api.PasswordChange
			if err := bind.JSON([]byte(test.body), &body); err != nil {
				t.Fatal(err)
			}
			sent := bind.Names{}
			if diff := cmp.Diff(test.want, readPasswordChange(body, sent)); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(test.sent, sent); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Two names of one field must have the same value: the service does not guess
// which of two ids is meant.
func TestNamesOfOneFieldMustAgree(t *testing.T) {
	t.Parallel()
	for body, target := range map[string]any{
		`{"id":"a","member_id":"b"}`:         &api.Registration{},
		`{"name":"a","member_nm":"b"}`:       &api.Registration{},
		`{"pw":"a","password":"b"}`:          &api.Registration{},
		`{"password":"a","member_pwd":"b"}`:  &api.Credentials{},
		`{"pw":"a","member_pwd":"b"}`:        &api.Credentials{},
		`{"member_id":"a","id":"A"}`:         &api.Credentials{},
		`{"old_pw":"a","old_password":"b"}`:  &api.PasswordChange{},
		`{"new_password":"a","new_pw":"a "}`: &api.PasswordChange{},
	} {
		if err := bind.JSON([]byte(body), target); fault.CodeOf(err) != fault.Invalid {
			t.Errorf("%s: %v", body, err)
		}
	}
}

// For any body there is no panic, and every error is a fault that names fields
// which the caller could have sent.
func FuzzReadRegistration(f *testing.F) {
	for _, body := range []string{
		`{"id":"minji","pw":"correct horse","name":"김민지"}`, `{"member_id":1,"password":[],"member_nm":{}}`, `id=minji&pw=x&name=y`,
		`id=a&id=b`, `%zz`, ``, `{`, `[]`, `null`, `{"id":"\ud800"}`, "{\"id\":\"\xff\"}", `{"id":"\u0000"}`, `{"id":null,"id":"a"}`,
	} {
		f.Add([]byte(body), false)
		f.Add([]byte(body), true)
	}
	p, err := password.NewPolicy(password.PolicyConfig{MinLength: password.MinLength})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte, form bool) {
		read := bind.JSON
		if form {
			read = bind.Form
		}
		var body api.Registration
		err := read(data, &body)
		if err == nil {
			names := bind.Names{}
			err = names.Restore(readRegistration(body, names).Validate(p))
		}
		if err != nil && fault.CodeOf(err) != fault.Invalid {
			t.Errorf("%q: %v", data, err)
		}
	})
}

func FuzzReadCredentials(f *testing.F) {
	for _, body := range []string{`{"id":"minji","pw":"x"}`, `{"member_id":true,"member_pwd":7}`, `id=minji&pw=x`, `{}`, "\x00"} {
		f.Add([]byte(body), false)
		f.Add([]byte(body), true)
	}
	f.Fuzz(func(t *testing.T, data []byte, form bool) {
		read := bind.JSON
		if form {
			read = bind.Form
		}
		var body api.Credentials
		err := read(data, &body)
		if err == nil {
			names := bind.Names{}
			err = names.Restore(readCredentials(body, names).Validate())
		}
		if err != nil && fault.CodeOf(err) != fault.Invalid {
			t.Errorf("%q: %v", data, err)
		}
	})
}
