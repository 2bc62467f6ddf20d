package password

import (
	"errors"
	"fmt"
)

// Cost is the cost of new Argon2id hashes, which use one thread.
type Cost struct {
	Memory uint32 `env:"PASSWORD_MEMORY_KIB" envDefault:"19456" rule:"min=7168,max=65536" doc:"Memory of a new Argon2id hash in KiB, at most 65536. When it rises, older hashes are replaced as their members log in. Must be equal for login and migrate"`
	Passes uint32 `env:"PASSWORD_PASSES" envDefault:"2" rule:"min=1,max=10" doc:"Passes of a new Argon2id hash over its memory, at most 10. Fewer passes need more memory. The OWASP minimums are 47104 KiB with 1, 19456 with 2, 12288 with 3, 9216 with 4 and 7168 with 5"`
}

// Recommended returns a choice of the OWASP Password Storage Cheat Sheet: 19 MiB
// and about 20 ms. The PHC string of such a hash has 97 characters.
func Recommended() Cost { return Cost{Memory: 19456, Passes: 2} }

// leastMemory returns the OWASP minimum for a number of passes, in KiB.
func leastMemory(passes uint32) uint32 {
	switch passes {
	case 1:
		return 47104
	case 2:
		return 19456
	case 3:
		return 12288
	case 4:
		return 9216
	default:
		return 7168
	}
}

// Validate reports a cost below the OWASP minimums or above the bounds of stored
// hashes.
func (c Cost) Validate() error {
	var bad []error
	if c.Passes < 1 || c.Passes > maxPasses {
		bad = append(bad, fmt.Errorf("PASSWORD_PASSES must be from 1 to %d", maxPasses))
	}
	if least := leastMemory(c.Passes); c.Memory < least || c.Memory > maxMemory {
		bad = append(bad, fmt.Errorf("PASSWORD_MEMORY_KIB must be from %d to %d with that many passes", least, maxMemory))
	}
	return errors.Join(bad...)
}

// Work returns the work of one hash, in KiB of memory times passes.
func (c Cost) Work() uint64 { return uint64(c.Memory) * uint64(c.Passes) }
