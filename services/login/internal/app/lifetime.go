package app

// Access is the lifetime of tokens.
type Access struct {
	TTLSeconds int32 `env:"JWT_ACCESS_TTL_SECONDS" envDefault:"3600" rule:"min=1" doc:"Seconds until an access token expires"`
}
