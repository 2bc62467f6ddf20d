package postgres

import (
	"encoding/binary"
	"fmt"

	"github.com/jackc/pgx/v5/pgtype"

	"example.com/pizza/pkg/money"
)

// numeric is a codec of NUMERIC that reads and writes money.Amount in the binary format.
// pgx would do it by way of big integers and text. It does everything else.
type numeric struct{ pgtype.NumericCodec }

// registerNumeric makes a connection use numeric, also for the elements of arrays.
func registerNumeric(m *pgtype.Map) {
	t := &pgtype.Type{Name: "numeric", OID: pgtype.NumericOID, Codec: numeric{}}
	m.RegisterType(t)
	m.RegisterType(&pgtype.Type{Name: "_numeric", OID: pgtype.NumericArrayOID, Codec: &pgtype.ArrayCodec{ElementType: t}})
}

// PlanScan implements pgtype.Codec.
func (c numeric) PlanScan(m *pgtype.Map, oid uint32, format int16, target any) pgtype.ScanPlan {
	if _, ok := target.(*money.Amount); ok && format == pgtype.BinaryFormatCode {
		return scanAmount{}
	}
	return c.NumericCodec.PlanScan(m, oid, format, target)
}

// PlanEncode implements pgtype.Codec.
func (c numeric) PlanEncode(m *pgtype.Map, oid uint32, format int16, value any) pgtype.EncodePlan {
	if _, ok := value.(money.Amount); ok && format == pgtype.BinaryFormatCode {
		return encodeAmount{}
	}
	return c.NumericCodec.PlanEncode(m, oid, format, value)
}

// The binary format (numeric_send in PostgreSQL) is four numbers of 16 bits, and digits to
// the base of 10,000: their count, the weight of the first as a power of the base, the sign,
// the displayed scale. Zeros at both ends are left out. An amount has digits of the weights 2
// to -1, the last of which are units of a hundredth of a cent.
const (
	base        = 10_000
	firstWeight = 2
	lastWeight  = -1
	unitsOfCent = 100
	mostCents   = base * base * base * base / unitsOfCent
	header      = 8 // bytes
	minus       = 0x4000
)

type scanAmount struct{}

// Scan implements pgtype.ScanPlan. It returns an error for NULL, and for what is no amount.
func (scanAmount) Scan(src []byte, target any) error {
	if len(src) < header {
		return fmt.Errorf("a NUMERIC of %d bytes is no amount", len(src))
	}
	number := binary.BigEndian.Uint16
	n, sign, digits := int(number(src)), number(src[4:]), src[header:]
	weight := int(int16(number(src[2:]))) //nolint:gosec // it is signed
	var units int64
	for w := firstWeight; w >= lastWeight; w-- {
		units *= base
		if i := weight - w; i >= 0 && 2*i < len(digits)-1 {
			units += int64(number(digits[2*i:]))
		}
	}
	outside := n > 0 && (weight > firstWeight || weight-n+1 < lastWeight)
	if len(digits) != 2*n || outside || units%unitsOfCent != 0 || sign != 0 && sign != minus {
		return fmt.Errorf("the NUMERIC %x is no amount", src)
	}
	if sign == minus {
		units = -units
	}
	*target.(*money.Amount) = money.FromCents(units / unitsOfCent) //nolint:forcetypeassert // see PlanScan
	return nil
}

type encodeAmount struct{}

// Encode implements pgtype.EncodePlan. PostgreSQL itself drops the zeros at both ends. pgx
// writes an amount that is too large as text.
func (encodeAmount) Encode(value any, buf []byte) ([]byte, error) {
	cents, sign := value.(money.Amount).Cents(), uint16(0) //nolint:forcetypeassert // see PlanEncode
	if cents <= -mostCents || cents >= mostCents {
		return nil, fmt.Errorf("%d cents have too many digits", cents)
	}
	units := cents * unitsOfCent
	if units < 0 {
		units, sign = -units, minus
	}
	for _, n := range [...]uint16{firstWeight - lastWeight + 1, firstWeight, sign, money.Digits} {
		buf = binary.BigEndian.AppendUint16(buf, n)
	}
	for place := int64(base * base * base); place > 0; place /= base {
		buf = binary.BigEndian.AppendUint16(buf, uint16(units/place%base)) //nolint:gosec // less than base
	}
	return buf, nil
}
