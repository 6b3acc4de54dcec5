package store

// FieldErrors are the faults in err, however they are joined and wrapped.
func FieldErrors(err error) []*FieldError {
	switch e := err.(type) { //nolint:errorlint // it walks the tree itself
	case *FieldError:
		return []*FieldError{e}
	case interface{ Unwrap() []error }:
		var found []*FieldError
		for _, part := range e.Unwrap() {
			found = append(found, FieldErrors(part)...)
		}
		return found
	case interface{ Unwrap() error }:
		return FieldErrors(e.Unwrap())
	}
	return nil
}
