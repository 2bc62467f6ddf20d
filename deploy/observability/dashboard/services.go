package dashboard

func login() Dashboard {
	return service("login",
		admission("Passwords: checked at a time", "login", "login_password"),
		Row{"Passwords: their cost", []Panel{
			{Title: "Time of one run", Unit: "s", About: "pbkdf2_sha256 are members of the old system, once each.",
				Queries: []Query{{quantile("0.95", "function", "login_password_kdf_seconds", of("login", "")), "p95 {{function}}"}}},
			{Title: "Runs", Unit: "ops", Queries: []Query{{per("function", "login_password_kdf_seconds_count"+of("login", "")), "{{function}}"}}},
			{Title: "Logins", Unit: "reqps", Queries: []Query{{per("outcome", "login_logins_total"+of("login", "")), "{{outcome}}"}}},
		}},
		tokens("login"), limits("login"), events("login"),
	)
}

func menu() Dashboard {
	return service("menu",
		Row{"The menu in memory", []Panel{
			{Title: "Age", Unit: "s", About: "Since it was last known to be the newest.", Queries: []Query{{"menu_snapshot_age_seconds" + of("menu", ""), "{{instance}}"}}},
			{Title: "Version", Unit: "short", Whole: true, Queries: []Query{{"menu_snapshot_version" + of("menu", ""), "{{instance}}"}}},
			{Title: "Loads", Unit: "ops", Queries: []Query{{per("source", "menu_snapshot_loads_total"+of("menu", "")), "{{source}}"}}},
			{Title: "Reads without the database", Unit: "reqps", Queries: []Query{{per("instance", "menu_snapshot_stale_reads_total"+of("menu", "")), "{{instance}}"}}},
		}},
		events("menu"),
	)
}

func order() Dashboard {
	return service("order",
		admission("Orders: placed at a time", "order", "order"),
		Row{"Prices", []Panel{
			{Title: "Where they come from", Unit: "reqps", Stacked: true, Queries: []Query{{per("source", "order_quotes_total"+of("order", "")), "{{source}}"}}},
			{Title: "Age of the catalog in memory", Unit: "s", About: "Orders are refused at QUOTE_MAX_STALE, 10 minutes.",
				Queries: []Query{{"order_quote_cache_age_seconds" + of("order", ""), "{{instance}}"}}},
			{Title: "State", Unit: "short", Whole: true, Queries: []Query{
				{"max(order_quote_cache_stale" + of("order", "") + ")", "priced without menu"},
			}},
			{Title: "Reads of the catalog", Unit: "ops", Queries: []Query{{per("outcome", "order_quote_cache_loads_total"+of("order", "")), "{{outcome}}"}}},
		}},
		Row{"Calls to menu", []Panel{
			{Title: "Breaker", Unit: "short", Whole: true, About: "0 closed, 1 half-open, 2 open.", Queries: []Query{{"menu_client_breaker_state" + of("order", ""), "{{instance}}"}}},
			{Title: "Calls by outcome", Unit: "reqps", Queries: []Query{{per("outcome", "menu_client_call_duration_seconds_count"+of("order", "")), "{{outcome}}"}}},
			{Title: "Retries", Unit: "reqps", Queries: []Query{{
				"clamp_min(sum(rate(menu_client_attempts_total" + of("order", "") + "[$__rate_interval])) - sum(rate(menu_client_call_duration_seconds_count" + of("order", `, outcome!="open"`) + "[$__rate_interval])), 0)", "retries",
			}}},
			{Title: "Duration", Unit: "s", Queries: []Query{{quantile("0.95", "operation", "menu_client_call_duration_seconds", of("order", "")), "p95 {{operation}}"}}},
		}},
		Row{"Idempotency", []Panel{
			{Title: "Orders sent again", Unit: "reqps", About: "mismatch: a client uses a key for another order.",
				Queries: []Query{{per("outcome", "order_idempotency_repeats_total"+of("order", "")), "{{outcome}}"}}},
			{Title: "Keys forgotten", Unit: "ops", Queries: []Query{
				{per("job", "order_idempotency_keys_pruned_total"+of("order", "")), "forgotten"},
				{per("job", "order_idempotency_prune_failures_total"+of("order", "")), "rounds that failed"},
			}},
		}},
		tokens("order"), limits("order"), events("order"),
	)
}

func postgresql() Dashboard {
	const all = `{namespace="$namespace"}`
	return Dashboard{Name: "postgresql", Title: "PostgreSQL", Rows: []Row{
		{"Connections", []Panel{
			{Title: "Of the services", Unit: "short", Whole: true, Stacked: true, Queries: []Query{{"sum by (job, state) (db_client_connections" + all + ")", "{{job}} {{state}}"}}},
			{Title: "Pools: how full", Unit: "percentunit", Queries: []Query{{
				`sum by (pool, instance) (db_client_connections{namespace="$namespace", state="used"}) / sum by (pool, instance) (db_client_connections_max{namespace="$namespace"})`, "{{pool}} {{instance}}",
			}}},
			{Title: "Requests that wait for one", Unit: "short", Whole: true, Queries: []Query{{"sum by (job) (db_client_connection_pending_requests" + all + ")", "{{job}}"}}},
			{Title: "Their wait", Unit: "s", Queries: []Query{{quantile("0.99", "job", "db_client_connection_wait_seconds", all), "p99 {{job}}"}}},
		}},
		{"Statements", []Panel{
			{Title: "Per second", Unit: "ops", Queries: []Query{{per("job, operation", "db_client_operation_duration_seconds_count"+all), "{{job}} {{operation}}"}}},
			{Title: "Duration, p95", Unit: "s", Queries: []Query{{quantile("0.95", "job, operation", "db_client_operation_duration_seconds", all), "{{job}} {{operation}}"}}},
			{Title: "Where the time goes", Unit: "short", Stacked: true, About: "Seconds in statements, per second: connections that are busy with each.",
				Queries: []Query{{"topk(8, " + per("job, operation", "db_client_operation_duration_seconds_sum"+all) + ")", "{{job}} {{operation}}"}}},
			{Title: "Errors", Unit: "ops", Queries: []Query{{per("job, kind", "db_client_errors_total"+all), "{{job}} {{kind}}"}}},
		}},
		{"The server (postgres_exporter, where there is one)", []Panel{
			{Title: "Connections", Unit: "short", Whole: true, Queries: []Query{
				{"sum by (state) (pg_stat_activity_count" + all + ")", "{{state}}"},
				{"max(pg_settings_max_connections" + all + ")", "max_connections"},
			}},
			{Title: "Transactions", Unit: "ops", Queries: []Query{
				{per("datname", `pg_stat_database_xact_commit{namespace="$namespace", datname="pizza"}`), "committed"},
				{per("datname", `pg_stat_database_xact_rollback{namespace="$namespace", datname="pizza"}`), "rolled back"},
			}},
			{Title: "Longest transaction", Unit: "s", Queries: []Query{{`max by (state) (pg_stat_activity_max_tx_duration{namespace="$namespace", datname="pizza"})`, "{{state}}"}}},
		}},
	}}
}

func business() Dashboard {
	return Dashboard{Name: "business", Title: "business", Rows: []Row{
		{"The last 24 hours", []Panel{
			{Title: "Orders", Kind: "stat", Unit: "short", Whole: true, Queries: []Query{{`sum(increase(order_placed_total{namespace="$namespace"}[24h]))`, ""}}},
			{Title: "Revenue", Kind: "stat", Unit: Currency, Queries: []Query{{`sum(increase(order_revenue_total{namespace="$namespace"}[24h]))`, ""}}},
			{Title: "Pizzas", Kind: "stat", Unit: "short", Whole: true, Queries: []Query{{`sum(increase(order_placed_pizzas_total{namespace="$namespace"}[24h]))`, ""}}},
			{Title: "New members", Kind: "stat", Unit: "short", Whole: true, Queries: []Query{{`sum(increase(login_registrations_total{namespace="$namespace", outcome="succeeded"}[24h]))`, ""}}},
		}},
		{"Orders", []Panel{
			{Title: "Orders per second", Unit: "ops", Stacked: true, Queries: []Query{{per("branch", `order_placed_total{namespace="$namespace"}`), "{{branch}}"}}},
			{Title: "Revenue in an hour", Unit: Currency, Stacked: true, Queries: []Query{{`sum by (branch) (increase(order_revenue_total{namespace="$namespace"}[1h]))`, "{{branch}}"}}},
			{Title: "The mean order", Unit: Currency, Queries: []Query{
				{`sum(increase(order_revenue_total{namespace="$namespace"}[1h])) / sum(increase(order_placed_total{namespace="$namespace"}[1h]))`, "price"},
			}},
			{Title: "In the mean order", Unit: "short", Queries: []Query{
				{`sum(increase(order_placed_pizzas_total{namespace="$namespace"}[1h])) / sum(increase(order_placed_total{namespace="$namespace"}[1h]))`, "pizzas"},
				{`sum(increase(order_placed_lines_total{namespace="$namespace"}[1h])) / sum(increase(order_placed_total{namespace="$namespace"}[1h]))`, "lines"},
			}},
		}},
		{"Orders that were not placed", []Panel{
			{Title: "No room", Unit: "ops", Queries: []Query{{per("reason", `order_admission_rejected_total{namespace="$namespace"}`), "{{reason}}"}}},
			{Title: "No price", Unit: "ops", Queries: []Query{{per("job", `order_quotes_total{namespace="$namespace", source="none"}`), "refused"}}},
			{Title: "Too often", Unit: "ops", Queries: []Query{{per("route", `rate_limit_requests_total{namespace="$namespace", outcome="refused"}`), "{{route}}"}}},
		}},
		{"Members", []Panel{
			{Title: "Logins", Unit: "ops", Stacked: true, Queries: []Query{{per("outcome", `login_logins_total{namespace="$namespace"}`), "{{outcome}}"}}},
			{Title: "Registrations", Unit: "ops", Stacked: true, Queries: []Query{{per("outcome", `login_registrations_total{namespace="$namespace"}`), "{{outcome}}"}}},
		}},
	}}
}
