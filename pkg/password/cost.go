package password

import (
	"errors"
	"fmt"
)

// Cost is that of new Argon2id hashes; they have one thread.
type Cost struct {
	Memory uint32 `env:"PASSWORD_MEMORY_KIB" envDefault:"19456" rule:"min=7168,max=65536" doc:"Memory of one new Argon2id hash in KiB, at most 65536. When it rises, older hashes are replaced as their members log in; the same for all that hash"`
	Passes uint32 `env:"PASSWORD_PASSES" envDefault:"2" rule:"min=1,max=10" doc:"Passes of a new Argon2id hash over its memory, at most 10. With fewer passes it needs more memory: the least are the pairs of OWASP, 47104 with 1, 19456 with 2, 12288 with 3, 9216 with 4, 7168 with 5"`
}

// Recommended is the choice of the OWASP Password Storage Cheat Sheet with
// little memory and few passes: about 20 ms and 19 MiB. As a PHC string with
// salt and key such a hash has 97 characters.
func Recommended() Cost { return Cost{Memory: 19456, Passes: 2} }

// leastMemory is what OWASP asks for at so many passes, in KiB.
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

// Validate reports a cost that is under every choice of OWASP's, or that stored
// hashes may not have.
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

// Work returns that of one new hash.
func (c Cost) Work() Work {
	return Work{Blocks: uint64(c.Memory) * uint64(c.Passes), Passes: c.Passes}
}
