-- A column of a new type has no statistics, and the planner needs them. In a migration
-- of its own, without the lock of the last one.

-- +goose Up
ANALYZE orders;
