// Package imagetest gives tests a repository with images that are read in a moment.
package imagetest

// Workspace is the smallest repository with the programs of all images. All of them
// log, login alone has secrets, and migrate has SQL within. It returns the files.
func Workspace() map[string]string {
	files := map[string]string{
		"README.md":                      "",
		"go.work":                        "go 1.26.0\n\nuse (\n\t./deploy/images\n\t./migrations\n\t./pkg\n\t./services/login\n\t./services/menu\n\t./services/order\n)\n",
		"deploy/images/image/image.go":   "package image\n",
		"pkg/logging/logging.go":         "package logging\n",
		"pkg/logging/logging_windows.go": "package logging\n",
		"pkg/logging/logging_test.go":    "package logging\n",
		"pkg/secret/secret.go":           "package secret\n",
		"migrations/sql/login/1.sql":     "",
		"migrations/embed.go":            "package migrations\n\nimport \"embed\"\n\n//go:embed all:sql\nvar _ embed.FS\n",
	}
	for folder, imports := range map[string][]string{
		"migrations/cmd/migrate": {"migrations", "pkg/logging"}, "services/menu/cmd/menu": {"pkg/logging"},
		"services/login/cmd/login": {"pkg/logging", "pkg/secret"}, "services/order/cmd/order": {"pkg/logging"},
	} {
		main := "package main\n\nimport (\n"
		for _, i := range imports {
			main += "\t_ \"example.com/pizza/" + i + "\"\n"
		}
		files[folder+"/main.go"] = main + ")\n\nfunc main() {}\n"
	}
	for _, module := range []string{"deploy/images", "migrations", "pkg", "services/login", "services/menu", "services/order"} {
		files[module+"/go.mod"] = "module example.com/pizza/" + module + "\n\ngo 1.26.0\n"
	}
	return files
}
