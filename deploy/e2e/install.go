package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"
	"sigs.k8s.io/yaml"

	"example.com/pizza/deploy/delivery"
	"example.com/pizza/deploy/images"
	"example.com/pizza/pkg/pgurl"
)

// installation follows docs/install.md from an empty namespace to an order, in a checkout of the repository. In between
// it does what a cloud would do, and checks what the commands have left.
type installation struct {
	*experiment
	repository repository
	shell      shell
	registry   *httptest.Server
}

// follow runs the blocks of the page. Each is a row of the table.
func (e *experiment) follow(ctx context.Context) error {
	blocks, err := page(e.root)
	if err != nil {
		return err
	}
	i := &installation{
		experiment: e, repository: repository{e.cluster, filepath.Join(e.work, "pizza.git"), e.checkout()},
		shell: shell{e.cluster, e.checkout()}, registry: newRegistry(e.log),
	}
	defer i.registry.Close()
	for _, b := range blocks {
		do := i.steps()[b.name]
		if do == nil {
			continue // part of another walk
		}
		if err := e.step(ctx, "install: "+b.name, func(ctx context.Context) error { return do(ctx, b) }); err != nil {
			return err
		}
	}
	return nil
}

func (i *installation) steps() map[string]func(context.Context, block) error {
	return map[string]func(context.Context, block) error{
		"values": i.values, "names": i.names, "images": i.images, "publish": i.publish, "database": i.roles,
		"menu": i.shell.block, "secrets": i.secrets, "install": i.release, "order": i.order,
	}
}

// values is the stand-in for make adopt and for an editor: the values of the page and of this cluster, in a commit.
func (i *installation) values(ctx context.Context, b block) error {
	if err := i.clean(ctx); err != nil {
		return err
	}
	if err := i.repository.clone(ctx, i.root); err != nil {
		return err
	}
	if err := i.repository.include(ctx, i.root); err != nil {
		return err
	}
	bin := filepath.Join(i.root, ".local", "bin")
	if err := os.MkdirAll(filepath.Join(i.repository.checkout, ".local"), 0o755); err != nil {
		return err
	}
	err := os.Symlink(bin, filepath.Join(i.repository.checkout, ".local", "bin"))
	var written map[string]any
	err = errors.Join(err, yaml.Unmarshal([]byte(b.text), &written), i.repository.merge("prod", written))
	if err != nil {
		return err
	}
	where := map[string]any{"global": map[string]any{"image": map[string]any{"registry": i.address()}}}
	if err := errors.Join(i.repository.merge("prod", i.site(i.address())), i.repository.merge("dev", where)); err != nil {
		return err
	}
	_, err = i.repository.push(ctx, "Make it ours")
	return err
}

// address is what comes before the name of each image.
func (i *installation) address() string {
	return strings.TrimPrefix(i.registry.URL, "http://") + "/pizza"
}

// names sets the variables that the block asks for.
func (i *installation) names(ctx context.Context, _ block) error {
	ingress, err := url.Parse(i.settings.Ingress)
	if err != nil {
		return err
	}
	port := map[string]string{"http": "80", "https": "443"}[ingress.Scheme]
	to := ingress.Port()
	if to == "" {
		to = port
	}
	// The host of the Ingress has no address.
	curlrc := fmt.Sprintf("connect-to = %q\n", strings.Join([]string{host, port, ingress.Hostname(), to}, ":"))
	if err := os.WriteFile(filepath.Join(i.repository.checkout, ".local", ".curlrc"), []byte(curlrc), 0o600); err != nil {
		return err
	}
	admin, _, _ := strings.Cut(i.database.server.URL(""), "/?")
	return i.shell.export(ctx, i.variables(admin, ingress.Scheme+"://"+host))
}

// variables returns those of the block names, and those of the stand-ins.
func (i *installation) variables(admin, address string) map[string]string {
	return map[string]string{
		"REGISTRY": i.address(), "REGISTRY_USER": "me", "REGISTRY_TOKEN": "none", "ADMIN": admin, "URL": address,
		"COSIGN_PASSWORD": "", "PLAIN_HTTP": "1", "CURL_HOME": filepath.Join(i.repository.checkout, ".local"),
	}
}

// images builds the images that E2E_IMAGES does not have.
func (i *installation) images(ctx context.Context, b block) error {
	missing, err := copied(i.settings.Images, filepath.Join(i.repository.checkout, images.Folder))
	if err != nil || len(missing) == 0 {
		return err
	}
	b.text = "export IMAGES='" + strings.Join(missing, " ") + "'\n" + b.text + "unset IMAGES\n"
	return i.shell.block(ctx, b)
}

// copied copies the images in a folder, and returns the names of those that it does not have.
func copied(from, to string) (missing []string, err error) {
	for _, image := range images.All() {
		ready := filepath.Join(from, image.Name)
		if _, err := os.Stat(ready); from == "" || errors.Is(err, os.ErrNotExist) {
			missing = append(missing, image.Name)
			continue
		}
		if err := os.CopyFS(filepath.Join(to, image.Name), os.DirFS(ready)); err != nil {
			return nil, err
		}
	}
	return missing, nil
}

// publish gives the nodes what they would pull: the images by their digests, and for upgrades by two tags.
func (i *installation) publish(ctx context.Context, b block) error {
	if err := i.shell.block(ctx, b); err != nil {
		return err
	}
	built, err := delivery.Built(filepath.Join(i.repository.checkout, images.Folder))
	if err != nil {
		return err
	}
	work, ctx := errgroup.WithContext(ctx)
	for _, image := range built {
		work.Go(func() error {
			name := image.Repository()
			references := []string{i.address() + "/" + name + "@" + image.Digest}
			for _, tag := range []string{tagBefore, tagAfter} {
				references = append(references, registry+"/"+name+":"+tag)
			}
			folder := filepath.Join(i.repository.checkout, images.Folder, name)
			for _, reference := range references {
				if err := load(ctx, i.cluster, i.settings, folder, reference, image.Tag); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return work.Wait()
}

// roles checks that the roles have the limits that the page computes.
func (i *installation) roles(ctx context.Context, b block) error {
	if err := i.shell.block(ctx, b); err != nil {
		return err
	}
	conn, err := pgurl.Connect(ctx, i.database.url())
	if err != nil {
		return err
	}
	const limits = "SELECT rolname || ' ' || rolconnlimit FROM pg_roles WHERE rolname LIKE '%\\_svc' ORDER BY 1"
	rows, err := conn.Query(ctx, limits)
	if err != nil {
		return errors.Join(err, conn.Close(ctx))
	}
	got, err := pgx.CollectRows(rows, pgx.RowTo[string])
	// Two pods each, twice while they are replaced, with their pool and two connections for events.
	if want := []string{"login_svc 20", "menu_svc 20", "order_svc 48"}; err == nil && !slices.Equal(got, want) {
		err = fmt.Errorf("the roles have the limits %q, want %q", got, want)
	}
	return errors.Join(err, conn.Close(ctx))
}

// certificates are those of the host and of the database, which needs no restart for its own.
const certificates = `
make_certificate() {
	openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=pizza -addext "subjectAltName=$1" -out "$2" -keyout "$3"
}
make_certificate "DNS:$HOST" tls.crt tls.key
make_certificate "IP:$DATABASE" database-ca.pem database.key
data=$(psql "$ADMIN/postgres" --tuples-only --no-align --command 'SHOW data_directory')
cp database-ca.pem "$data/server.crt"
cp database.key "$data/server.key"
chown --reference="$data" "$data/server.crt" "$data/server.key"
chmod 600 "$data/server.key"
psql "$ADMIN/postgres" --command 'ALTER SYSTEM SET ssl = on' --command 'SELECT pg_reload_conf()'
`

// secrets makes the certificates that the block reads.
func (i *installation) secrets(ctx context.Context, b block) error {
	err := i.shell.sh(ctx, "HOST="+host+" DATABASE="+i.settings.Host+certificates)
	if err != nil {
		return err
	}
	return i.shell.block(ctx, b)
}

// secretNames are the Secrets that the page creates, which a release leaves.
func secretNames() []string {
	return []string{
		"jwt-keys", "login-secrets", "menu-secrets", "migrate-secrets", "order-secrets", "pizza-tls", "registry",
	}
}

// release waits for the Ingress, too.
func (i *installation) release(ctx context.Context, b block) error {
	if err := i.shell.block(ctx, b); err != nil {
		return err
	}
	if err := i.rolledOut(ctx); err != nil {
		return err
	}
	return wait(ctx, "answers through the Ingress", time.Minute, i.customers.served)
}

// order checks that the order of the page is in the database, beside that of helm test.
func (i *installation) order(ctx context.Context, b block) error {
	if err := i.shell.block(ctx, b); err != nil {
		return err
	}
	orders, err := i.database.orders(ctx, "")
	first, firstErr := i.database.orders(ctx, "first-")
	// Helm succeeds without a test too.
	if err = errors.Join(err, firstErr); err == nil && (len(first) != 1 || len(orders) != 2) {
		err = fmt.Errorf("%d orders, %d of them by the Ingress; want 2 and 1", len(orders), len(first))
	}
	if err != nil {
		return err
	}
	// Helm keeps the pod, for its log, even after the release is uninstalled.
	if _, err := i.kubectl(ctx, "delete", "pod", "test-order", "--timeout=1m"); err != nil {
		return err
	}
	key, err := i.kubectl(ctx, "get", "secret", "jwt-keys", "-o", "jsonpath={.data.current}")
	if err != nil {
		return err
	}
	plain, err := base64.StdEncoding.DecodeString(key)
	i.key = string(plain)
	return err
}
