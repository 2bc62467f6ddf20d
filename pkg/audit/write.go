package audit

import (
	"context"
	"log/slog"
)

// MemberRegistered records a registration.
func (l *Log) MemberRegistered(ctx context.Context, memberID string) {
	l.write(ctx, event{"member_registered", Success, Anonymous, slog.LevelInfo}, member(memberID))
}

// LoginSucceeded records a login.
func (l *Log) LoginSucceeded(ctx context.Context, memberID string) {
	l.write(ctx, event{"login_succeeded", Success, Member, slog.LevelInfo}, member(memberID))
}

// LoginFailed records a wrong password for a member, or an unknown id if memberID is
// empty: an unknown id must not be passed.
func (l *Log) LoginFailed(ctx context.Context, memberID string) {
	reason := "wrong_password"
	if memberID == "" {
		reason = "unknown_id"
	}
	l.write(ctx, event{"login_failed", Failure, Anonymous, slog.LevelInfo}, member(memberID), slog.String("reason", reason))
}

// RateLimited records a request beyond a rate limit. limit is the name of the limit,
// and not its key: a sent id may not be an id.
func (l *Log) RateLimited(ctx context.Context, route, limit string) {
	l.write(ctx, event{"rate_limited", Failure, Anonymous, slog.LevelInfo}, slog.String("route", route), slog.String("limit", limit))
}

// PasswordChanged records a changed password, which revokes all earlier tokens.
func (l *Log) PasswordChanged(ctx context.Context, memberID string) {
	l.write(ctx, event{"password_changed", Success, Member, slog.LevelInfo}, member(memberID))
}

// PasswordChangeFailed records a wrong old password behind a good token.
func (l *Log) PasswordChangeFailed(ctx context.Context, memberID string) {
	l.write(ctx, event{"password_change_failed", Failure, Member, slog.LevelInfo}, member(memberID), slog.String("reason", "wrong_password"))
}

// TokenRevoked records the logout of the session whose token has this jti.
func (l *Log) TokenRevoked(ctx context.Context, memberID, tokenID string) {
	l.write(ctx, event{"token_revoked", Success, Member, slog.LevelInfo}, member(memberID), slog.String("token_id", tokenID))
}

// MemberTokensRevoked records that an operator revoked all tokens of a member.
func (l *Log) MemberTokensRevoked(ctx context.Context, memberID string) {
	l.write(ctx, event{"member_tokens_revoked", Success, Operator, slog.LevelInfo}, member(memberID))
}

// OperatorRefused records a request for an operation of operators without a
// credential, with a wrong one, or while the operation is closed.
func (l *Log) OperatorRefused(ctx context.Context, method, route string) {
	l.write(ctx, event{"operator_refused", Failure, Anonymous, slog.LevelInfo}, slog.String("method", method), slog.String("route", route))
}

// CatalogChanged records an operator's change of the catalog, and the first version
// that includes it.
func (l *Log) CatalogChanged(ctx context.Context, action, id string, version int64) {
	l.write(ctx, event{"catalog_changed", Success, Operator, slog.LevelInfo},
		slog.String("action", action), slog.String("id", id), slog.Int64("catalog_version", version))
}

// KeysChanged records that other keys, named by their kid, sign and verify tokens
// from now on.
func (l *Log) KeysChanged(ctx context.Context, signing string, verifying []string) {
	l.write(ctx, event{"token_keys_changed", Success, System, slog.LevelInfo}, keys(signing, verifying)...)
}

// KeysRestored records that the key files are usable again, and hold the keys in use.
func (l *Log) KeysRestored(ctx context.Context, signing string, verifying []string) {
	l.write(ctx, event{"token_keys_restored", Success, System, slog.LevelInfo}, keys(signing, verifying)...)
}

// KeysRefused records that the key files hold no usable keys, and why. The previous
// keys stay in use.
func (l *Log) KeysRefused(ctx context.Context, signing string, verifying []string, why error) {
	l.write(ctx, event{"token_keys_refused", Failure, System, slog.LevelError}, append(keys(signing, verifying), slog.String("error", why.Error()))...)
}

func keys(signing string, verifying []string) []slog.Attr {
	return []slog.Attr{slog.String("signing_kid", signing), slog.Any("verifying_kids", verifying)}
}
