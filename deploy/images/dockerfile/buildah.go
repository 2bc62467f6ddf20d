// Package dockerfile sees to it that the Dockerfiles of this repository do not
// rot: it builds them with buildah, and compares each image with the one that
// package image makes of the same sources.
//
//	Dockerfile ─▶ buildah ─▶ image ─┐
//	                                ├─▶ the same program, user, entry point, ports, labels?
//	package image ──────────▶ image ─┘
//
// No registry is needed: stand-ins that are made here take the place of the base
// images, the compiler and the modules are those of this machine. A Dockerfile is
// built as it is all the same; only what the names after FROM mean is another.
package dockerfile

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"

	"example.com/pizza/deploy/images/image"
)

// Builder builds Dockerfiles with buildah.
type Builder struct {
	root     string // the repository
	folder   string // what buildah keeps from one build to the next, below root
	platform v1.Platform
	busybox  string // a static shell
	standIns bool
	args     []string // of each build
	log      io.Writer
}

// Options say how to build.
type Options struct {
	Root     string      // the repository
	Folder   string      // for images and caches, absolute
	Platform v1.Platform // that of this machine
	Pull     bool        // take the base images from their registries, not stand-ins
	Log      io.Writer   // what buildah says
}

// Close forgets the images and keeps the caches. Files of images may belong to
// other users than the one that builds, who could not delete them by himself.
func (b *Builder) Close(ctx context.Context) error {
	_, err := b.buildah(context.WithoutCancel(ctx), "rmi", "--all", "--force")
	return err
}

// install is what helps those who lack a program.
const install = "apt-get install buildah busybox-static (Debian, Ubuntu), dnf install buildah busybox (Fedora)"

// New finds what is needed and, unless base images are pulled, makes their stand-ins.
func New(ctx context.Context, o Options) (*Builder, error) {
	b := &Builder{root: o.Root, folder: o.Folder, platform: o.Platform, standIns: !o.Pull, log: o.Log}
	var errs [2]error
	_, errs[0] = exec.LookPath("buildah")
	b.busybox, errs[1] = exec.LookPath("busybox")
	if err := errors.Join(errs[:]...); err != nil {
		return nil, fmt.Errorf("building Dockerfiles needs buildah and busybox: %w\n%s", err, install)
	}
	if err := os.MkdirAll(filepath.Join(b.folder, "tmp"), 0o755); err != nil {
		return nil, err
	}
	if o.Pull {
		return b, nil
	}
	return b, b.prepare(ctx)
}

//go:embed standins/golang.Dockerfile
var golang []byte

//go:embed standins/distroless.Dockerfile
var distroless []byte

// local is what the names of stand-ins begin with.
const local = "localhost/stand-in/"

// standIn names what takes the place of a base image.
func standIn(base string) (string, error) {
	for prefix, name := range map[string]string{"golang:": "golang", "gcr.io/distroless/static-": "distroless"} {
		if strings.HasPrefix(base, prefix) {
			return local + name, nil
		}
	}
	return "", fmt.Errorf("there is no stand-in for the base image %s", base)
}

// prepare makes the stand-ins, and lets builds find compiler and modules here.
func (b *Builder) prepare(ctx context.Context) error {
	program, err := os.ReadFile(b.busybox)
	if err != nil {
		return err
	}
	files, err := os.MkdirTemp(b.folder, "standin-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(files) }()
	if err := os.WriteFile(filepath.Join(files, "busybox"), program, 0o755); err != nil {
		return err
	}
	for name, content := range map[string][]byte{"golang": golang, "distroless": distroless} {
		path := filepath.Join(files, name+".Dockerfile")
		if err := os.WriteFile(path, content, 0o600); err != nil {
			return err
		}
		if _, err := b.buildah(ctx, "build", "--quiet", "--isolation=chroot", "--tag="+local+name, "--file="+path, files); err != nil {
			return err
		}
	}
	out, err := exec.CommandContext(ctx, "go", "env", "GOROOT", "GOMODCACHE").Output()
	if err != nil {
		return fmt.Errorf("go env: %w", err)
	}
	compiler, modules, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	b.args = []string{
		"--pull-never",
		"--volume=" + compiler + ":/usr/local/go:ro",
		"--volume=" + filepath.Join(modules, "cache/download") + ":/proxy:ro",
		"--build-arg=GOPROXY=file:///proxy",
		"--build-arg=GOFLAGS=-modcacherw", // the cache shall be as easy to delete as any folder
	}
	return nil
}

// Build builds the Dockerfile of a spec.
func (b *Builder) Build(ctx context.Context, s image.Spec, r image.Revision) (img v1.Image, err error) {
	path := filepath.Join(b.root, s.Dockerfile())
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	args := append([]string{"build", "--isolation=chroot", "--tag=" + name(s), "--file=" + path, "--platform=" + b.platform.String(),
		"--build-arg=REVISION=" + r.Commit, "--build-arg=VERSION=" + r.Version(), "--build-arg=CREATED=" + r.Time.Format(time.RFC3339)}, b.args...)
	for _, base := range Bases(content) {
		if b.standIns {
			instead, err := standIn(base)
			if err != nil {
				return nil, err
			}
			args = append(args, "--build-context="+base+"=docker-image://"+instead)
		}
	}
	if _, err := b.buildah(ctx, append(args, b.root)...); err != nil {
		return nil, err
	}
	return b.read(ctx, s)
}

// name is that of the image which a Dockerfile gives.
func name(s image.Spec) string { return "localhost/pizza/" + s.Name }

// read takes an image out of buildah's storage.
func (b *Builder) read(ctx context.Context, s image.Spec) (v1.Image, error) {
	folder := filepath.Join(b.folder, "layout-"+s.Name)
	if err := os.RemoveAll(folder); err != nil {
		return nil, err
	}
	if _, err := b.buildah(ctx, "push", "--quiet", name(s), "oci:"+folder+":"+s.Name); err != nil {
		return nil, err
	}
	index, err := layout.ImageIndexFromPath(folder)
	if err != nil {
		return nil, err
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return nil, err
	}
	if len(manifest.Manifests) != 1 {
		return nil, fmt.Errorf("%s holds %d images", folder, len(manifest.Manifests))
	}
	return index.Image(manifest.Manifests[0].Digest)
}

// Run runs the program of a built image in a container without any settings, as
// the image's user, and returns what it said and its exit code.
//
// The program writes to a file, by a shell that is lent to the container: what it
// says at its very end is now and then lost by buildah when it runs in a chroot.
func (b *Builder) Run(ctx context.Context, s image.Spec) (said string, code int, err error) {
	path := filepath.Join(b.folder, "said-"+s.Name)
	if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Chmod(path, 0o666)); err != nil { // by any user of a container
		return "", 0, err
	}
	container, err := b.buildah(ctx, "from", "--pull-never", name(s))
	if err != nil {
		return "", 0, err
	}
	defer func() {
		_, removing := b.buildah(context.WithoutCancel(ctx), "rm", container)
		err = errors.Join(err, removing)
	}()
	_, err = b.buildah(ctx, "run", "--isolation=chroot", "--volume="+b.busybox+":/busybox:ro", "--volume="+path+":/said",
		container, "--", "/busybox", "sh", "-c", "exec /"+s.Name+" >/said 2>&1")
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		code, err = exit.ExitCode(), nil
	}
	out, reading := os.ReadFile(path)
	return string(out), code, errors.Join(err, reading)
}

// buildah returns the standard output of a command.
func (b *Builder) buildah(ctx context.Context, args ...string) (string, error) {
	cmd := b.command(ctx, args...)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = io.MultiWriter(&out, b.log), io.MultiWriter(&said, b.log)
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("buildah %s: %w\n%s%s", args[0], err, out.Bytes(), bytes.TrimSpace(said.Bytes()))
	}
	return strings.TrimSpace(out.String()), nil
}

// command keeps all that buildah has in one folder, and asks for nothing that
// needs to be root or a file system of a kind: it works within a container too.
func (b *Builder) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "buildah", append([]string{
		"--root=" + filepath.Join(b.folder, "storage"), "--runroot=" + filepath.Join(b.folder, "run"), "--storage-driver=vfs",
	}, args...)...)
	cmd.Env = append(os.Environ(), "TMPDIR="+filepath.Join(b.folder, "tmp"))
	return cmd
}
