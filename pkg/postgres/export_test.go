package postgres

// SchemaCheckEvery is SchemaCheck with an interval that the test chooses.
var SchemaCheckEvery = schemaCheck
