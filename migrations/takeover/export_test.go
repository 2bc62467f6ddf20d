package takeover

// NewNames returns newRelations or newFunctions.
func NewNames(kind string) []string {
	if kind == "functions" {
		return newFunctions()
	}
	return newRelations()
}

// ParityProblem is parityProblem.
var ParityProblem = parityProblem
