package takeover

// newRelations returns the tables and sequences that the migrations add. Like
// newFunctions, TestTakenNames compares it with migrated databases.
func newRelations() []string {
	return []string{
		"catalog_version", "event", "event_consumer", "event_delivery", "event_publisher", "event_seq_seq",
		"former_member", "idempotency_key", "login_outbox", "login_outbox_seq_seq", "menu_outbox",
		"menu_outbox_seq_seq", "order_detail_order_detail_id_seq", "order_number", "order_outbox",
		"order_outbox_seq_seq", "revoked_member", "revoked_token", "schema_version_events",
		"schema_version_events_id_seq", "schema_version_login", "schema_version_login_id_seq",
		"schema_version_menu", "schema_version_menu_id_seq", "schema_version_order", "schema_version_order_id_seq",
	}
}

// newFunctions returns the functions that the migrations add.
func newFunctions() []string {
	return []string{
		"allow_consumer", "catalog_changed", "catalog_updated", "derive_price", "derive_total", "forget_answers",
		"forget_revocations", "lines_total", "member_former", "member_gone", "member_new", "members_gone", "menu_price",
		"new_order_id", "number_line", "order_date", "order_key", "order_time", "own_order", "prune_events",
		"prune_login_outbox", "prune_menu_outbox", "prune_order_outbox",
		"publish_event", "publish_events", "revoked_member_grows", "subscribe_events", "token_revoked",
	}
}
