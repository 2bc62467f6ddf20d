package postgres

// SchemaCheckEvery is SchemaCheck with an interval of the test's choice.
var SchemaCheckEvery = schemaCheck
