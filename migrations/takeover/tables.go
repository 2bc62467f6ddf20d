package takeover

// family groups the column types that the services read and write alike.
type family string

const (
	words   family = "text of any length, or varchar"
	money   family = "double precision, real or numeric"
	whole   family = "integer, bigint or smallint"
	orderID family = "text, varchar, integer or bigint"
)

// types lists the types of a family by their names in pg_type.
func (f family) types() []string {
	switch f {
	case money:
		return []string{"float8", "float4", "numeric"}
	case whole:
		return []string{"int4", "int8", "int2"}
	case orderID:
		return []string{"varchar", "text", "int4", "int8"}
	default:
		return []string{"varchar", "text"}
	}
}

// column is a column of the design document, and the least length that its text
// needs: the services write values of up to this length.
type column struct {
	name   string
	family family
	length int
	// short is a length that a migration widens, 0 for none.
	short int
}

// table is a table of the design document.
type table struct {
	name    string
	key     string // the column of the primary key
	columns []column
	added   []string // columns that the migrations add
}

// tables returns the tables of the design document, in the order in which they refer
// to each other.
func tables() []table {
	return []table{
		{"member", "member_id", []column{
			{name: "member_id", family: words, length: 100},
			{name: "member_pwd", family: words, length: 100},
			{name: "member_nm", family: words, length: 100},
		}, nil},
		{"pizza_types", "pizza_type_id", []column{
			{name: "pizza_type_id", family: words, length: 50},
			{name: "pizza_nm", family: words, length: 50},
			{name: "pizza_categ", family: words, length: 50},
			{name: "pizza_img_url", family: words, length: 100},
		}, nil},
		{"pizza", "pizza_id", []column{
			{name: "pizza_id", family: words, length: 50},
			{name: "pizza_type_id", family: words, length: 50},
			{name: "size", family: words, length: 50},
			{name: "price", family: money},
		}, nil},
		{"branch", "bran_id", []column{
			{name: "bran_id", family: words, length: 100},
			{name: "bran_nm", family: words, length: 100},
		}, nil},
		{"orders", "order_id", []column{
			{name: "order_id", family: orderID, length: 50},
			{name: "member_id", family: words, length: 100, short: 50},
			{name: "bran_id", family: words, length: 100},
			{name: "date", family: words, length: 50},
			{name: "time", family: words, length: 50},
		}, []string{"created_at", "total_price"}},
		{"order_detail", "order_detail_id", []column{
			{name: "order_detail_id", family: whole},
			{name: "order_id", family: orderID, length: 50},
			{name: "pizza_id", family: words, length: 50},
			{name: "quantity", family: whole},
		}, []string{"unit_price"}},
	}
}

// names returns the names of the tables.
func names() []string {
	var list []string
	for _, t := range tables() {
		list = append(list, t.name)
	}
	return list
}

// reference is a foreign key of the design document.
type reference struct{ table, column, target string }

func references() []reference {
	return []reference{
		{"pizza", "pizza_type_id", "pizza_types"},
		{"orders", "bran_id", "branch"},
		{"order_detail", "order_id", "orders"},
		{"order_detail", "pizza_id", "pizza"},
	}
}
