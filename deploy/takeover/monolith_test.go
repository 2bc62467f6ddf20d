package takeover_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// monolith does what the views of the old system do, with its SQL: numbers by MAX + 1,
// no prices, dates as text, passwords in clear text, and tokens without an id.
type monolith struct {
	db     *pgxpool.Pool
	secret []byte
	// isNumeric is set where the ids of orders are numbers.
	isNumeric bool
	// worker: the old system has one, so that MAX + 1 meets no other one of its own.
	worker sync.Mutex
}

// handler serves the paths of the old system.
func (m *monolith) handler() http.Handler {
	mux := http.NewServeMux()
	for pattern, view := range map[string]func(*http.Request) (int, any, error){
		"POST /api/login/register/":    m.register,
		"POST /api/login/{$}":          m.login,
		"GET /api/menu/{$}":            m.menu,
		"GET /api/menu/types/":         m.types,
		"POST /api/menu/get_pizza_id/": m.pizzaID,
		"GET /api/order/branch/":       m.branches,
		"GET /api/order/myorder/":      m.myOrders,
		"POST /api/order/{$}":          m.order,
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			status, body, err := view(r)
			if err != nil {
				status, body = http.StatusInternalServerError, map[string]string{"error": err.Error()}
			}
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			_ = json.NewEncoder(w).Encode(body)
		})
	}
	return mux
}

type credentials struct {
	ID       string `json:"id"`
	Password string `json:"pw"`
	Name     string `json:"name"`
}

func (m *monolith) register(r *http.Request) (int, any, error) {
	var c credentials
	if err := json.NewDecoder(r.Body).Decode(&c); err != nil {
		return http.StatusBadRequest, nil, err
	}
	const insert = "INSERT INTO member (member_id, member_pwd, member_nm) VALUES ($1, $2, $3)"
	_, err := m.db.Exec(r.Context(), insert, c.ID, c.Password, c.Name)
	return http.StatusCreated, map[string]string{"member_id": c.ID}, err
}

func (m *monolith) login(r *http.Request) (int, any, error) {
	var c credentials
	if err := json.NewDecoder(r.Body).Decode(&c); err != nil {
		return http.StatusBadRequest, nil, err
	}
	var stored string
	err := m.db.QueryRow(r.Context(), "SELECT member_pwd FROM member WHERE member_id = $1", c.ID).Scan(&stored)
	if errors.Is(err, pgx.ErrNoRows) || err == nil && stored != c.Password {
		return http.StatusUnauthorized, nil, nil
	}
	now := time.Now().Unix()
	claims := jwt.MapClaims{"member_id": c.ID, "iat": now, "exp": now + 3600}
	token, signing := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString(m.secret)
	return http.StatusOK, map[string]string{"token": token}, errors.Join(err, signing)
}

// member returns the member of a token, of either side.
func (m *monolith) member(r *http.Request) (string, error) {
	var claims struct {
		jwt.RegisteredClaims
		Member string `json:"member_id"`
	}
	raw := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	_, err := jwt.ParseWithClaims(raw, &claims, func(*jwt.Token) (any, error) { return m.secret, nil })
	return claims.Member, err
}

const listMenu = `SELECT pizza_id, pizza_type_id, pizza_nm, pizza_nm AS pizza_type__pizza_nm, pizza_categ, pizza_img_url, size, price
	FROM pizza JOIN pizza_types USING (pizza_type_id) ORDER BY pizza_type_id, pizza_id`

func (m *monolith) menu(r *http.Request) (int, any, error) { return m.list(r, listMenu) }

func (m *monolith) types(r *http.Request) (int, any, error) {
	return m.list(r, "SELECT pizza_type_id, pizza_nm, pizza_categ, pizza_img_url FROM pizza_types ORDER BY pizza_type_id")
}

func (m *monolith) branches(r *http.Request) (int, any, error) {
	return m.list(r, "SELECT bran_id, bran_nm FROM branch ORDER BY bran_id")
}

func (m *monolith) list(r *http.Request, sql string, args ...any) (int, any, error) {
	rows, err := m.db.Query(r.Context(), sql, args...)
	if err != nil {
		return 0, nil, err
	}
	list, err := pgx.CollectRows(rows, pgx.RowToMap)
	return http.StatusOK, list, err
}

const findPizza = `SELECT pizza_id FROM pizza JOIN pizza_types USING (pizza_type_id)
	WHERE pizza_nm = $1 AND size = $2 ORDER BY pizza_type_id LIMIT 1`

func (m *monolith) pizzaID(r *http.Request) (int, any, error) {
	var l line
	if err := json.NewDecoder(r.Body).Decode(&l); err != nil {
		return 0, nil, err
	}
	var id string
	err := m.db.QueryRow(r.Context(), findPizza, l.Name, l.Size).Scan(&id)
	return http.StatusOK, map[string]string{"pizza_id": id}, err
}

func (m *monolith) myOrders(r *http.Request) (int, any, error) {
	member, err := m.member(r)
	if err != nil {
		return http.StatusUnauthorized, nil, nil //nolint:nilerr // the answer says so
	}
	return m.list(r, `SELECT o.order_id::text AS order_id, bran_id, pizza_id, quantity, date, time
		FROM orders o JOIN order_detail d ON d.order_id = o.order_id WHERE member_id = $1 ORDER BY date DESC, time DESC`, member)
}

// line is one of an order, as the old client sends it.
type line struct {
	Name     string `json:"name"`
	Size     string `json:"size"`
	Quantity int    `json:"quantity"`
}

func (m *monolith) order(r *http.Request) (int, any, error) {
	ctx := r.Context()
	member, err := m.member(r)
	if err != nil {
		return http.StatusUnauthorized, nil, nil
	}
	var o struct {
		Branch string `json:"branchId"`
		Lines  []line `json:"lines"`
	}
	if err := json.NewDecoder(r.Body).Decode(&o); err != nil {
		return 0, nil, err
	}
	m.worker.Lock()
	defer m.worker.Unlock()
	var id string
	err = pgx.BeginFunc(ctx, m.db, func(tx pgx.Tx) error {
		if id, err = m.insert(ctx, tx, member, o.Branch); err != nil {
			return err
		}
		for _, l := range o.Lines {
			var pizza string
			if err := tx.QueryRow(ctx, findPizza, l.Name, l.Size).Scan(&pizza); err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, `INSERT INTO order_detail (order_detail_id, order_id, pizza_id, quantity)
				SELECT max(order_detail_id) + 1, $1, $2, $3 FROM order_detail`, id, pizza, l.Quantity); err != nil {
				return err
			}
		}
		return nil
	})
	return http.StatusCreated, map[string]string{"order_id": id}, err
}

// insert adds the row of an order, and returns its id.
func (m *monolith) insert(ctx context.Context, tx pgx.Tx, member, branch string) (id string, err error) {
	now := time.Now().In(time.FixedZone("KST", 9*3600))
	id = fmt.Sprint(now.UnixNano())
	if m.isNumeric {
		if err := tx.QueryRow(ctx, "SELECT (max(order_id) + 1)::text FROM orders").Scan(&id); err != nil {
			return "", err
		}
	}
	_, err = tx.Exec(ctx, "INSERT INTO orders (order_id, member_id, bran_id, date, time) VALUES ($1, $2, $3, $4, $5)",
		id, member, branch, now.Format(time.DateOnly), now.Format(time.TimeOnly))
	return id, err
}
