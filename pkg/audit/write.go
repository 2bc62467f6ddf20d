package audit

import (
	"context"
	"log/slog"
)

// MemberRegistered says that somebody has become a member.
func (l *Log) MemberRegistered(ctx context.Context, memberID string) {
	l.write(ctx, event{"member_registered", Success, Anonymous, slog.LevelInfo}, member(memberID))
}

// LoginSucceeded says that a member has shown its password and got a token.
func (l *Log) LoginSucceeded(ctx context.Context, memberID string) {
	l.write(ctx, event{"login_succeeded", Success, Member, slog.LevelInfo}, member(memberID))
}

// LoginFailed says that somebody has shown a wrong password for a member, or,
// with "", an id of nobody: what was typed there is not to be passed.
func (l *Log) LoginFailed(ctx context.Context, memberID string) {
	reason := "wrong_password"
	if memberID == "" {
		reason = "unknown_id"
	}
	l.write(ctx, event{"login_failed", Failure, Anonymous, slog.LevelInfo}, member(memberID), slog.String("reason", reason))
}

// RateLimited says that a request was refused, because there were too many of
// its kind. limit names the limit that was reached, and not whose it is: what was
// typed as the id is not known to be one.
func (l *Log) RateLimited(ctx context.Context, route, limit string) {
	l.write(ctx, event{"rate_limited", Failure, Anonymous, slog.LevelInfo}, slog.String("route", route), slog.String("limit", limit))
}

// PasswordChanged says that a member has another password, and that all its
// tokens from before are revoked.
func (l *Log) PasswordChanged(ctx context.Context, memberID string) {
	l.write(ctx, event{"password_changed", Success, Member, slog.LevelInfo}, member(memberID))
}

// PasswordChangeFailed says that somebody with a good token of the member did not
// know its password.
func (l *Log) PasswordChangeFailed(ctx context.Context, memberID string) {
	l.write(ctx, event{"password_change_failed", Failure, Member, slog.LevelInfo}, member(memberID), slog.String("reason", "wrong_password"))
}

// TokenRevoked says that a member has logged out of the session whose token has
// this jti.
func (l *Log) TokenRevoked(ctx context.Context, memberID, tokenID string) {
	l.write(ctx, event{"token_revoked", Success, Member, slog.LevelInfo}, member(memberID), slog.String("token_id", tokenID))
}

// MemberTokensRevoked says that an operator has revoked all tokens of a member.
func (l *Log) MemberTokensRevoked(ctx context.Context, memberID string) {
	l.write(ctx, event{"member_tokens_revoked", Success, Operator, slog.LevelInfo}, member(memberID))
}

// OperatorRefused says that somebody has asked for what only operators may do,
// with no credential, with a wrong one, or where it is closed.
func (l *Log) OperatorRefused(ctx context.Context, method, route string) {
	l.write(ctx, event{"operator_refused", Failure, Anonymous, slog.LevelInfo}, slog.String("method", method), slog.String("route", route))
}

// CatalogChanged says that an operator has done this to an object of the
// catalog, and which version of the catalog has it.
func (l *Log) CatalogChanged(ctx context.Context, action, id string, version int64) {
	l.write(ctx, event{"catalog_changed", Success, Operator, slog.LevelInfo},
		slog.String("action", action), slog.String("id", id), slog.Int64("catalog_version", version))
}

// KeysChanged says that other keys sign and verify tokens from now on. Keys go by
// their kid.
func (l *Log) KeysChanged(ctx context.Context, signing string, verifying []string) {
	l.write(ctx, event{"token_keys_changed", Success, System, slog.LevelInfo}, keys(signing, verifying)...)
}

// KeysRestored says that the files of the keys can be used again, and hold those
// in use.
func (l *Log) KeysRestored(ctx context.Context, signing string, verifying []string) {
	l.write(ctx, event{"token_keys_restored", Success, System, slog.LevelInfo}, keys(signing, verifying)...)
}

// KeysRefused says that the files hold no keys that can be used, and why; those
// before stay in use.
func (l *Log) KeysRefused(ctx context.Context, signing string, verifying []string, why error) {
	l.write(ctx, event{"token_keys_refused", Failure, System, slog.LevelError}, append(keys(signing, verifying), slog.String("error", why.Error()))...)
}

func keys(signing string, verifying []string) []slog.Attr {
	return []slog.Attr{slog.String("signing_kid", signing), slog.Any("verifying_kids", verifying)}
}
