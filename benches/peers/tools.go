//go:build tools

// Package peers pins the tools that figures are put beside.
package peers

import _ "github.com/stern/stern"
