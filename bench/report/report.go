package report

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"

	"oauth2-server/bench/result"
)

//go:embed page.css
var sheet string

//go:embed page.html
var text string

var layout = template.Must(template.New("page").Parse(text))

// Write draws all runs of the files as one page, scenario by scenario. Files
// stand side by side in each, runs of one file are repeats.
func Write(w io.Writer, files []*result.File) error {
	p := newPage(files)
	p.Style = template.HTML("<style>" + sheet + "</style>")
	p.Policy = policy()
	if err := layout.Execute(w, p); err != nil {
		return fmt.Errorf("draw report: %w", err)
	}
	return nil
}

// policy lets the page load nothing, run nothing, send nothing: it has its own style sheet, which is known by its hash.
func policy() template.HTML {
	hash := sha256.Sum256([]byte(sheet))
	return template.HTML(fmt.Sprintf(`<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'sha256-%s'; base-uri 'none'; form-action 'none'">`,
		base64.StdEncoding.EncodeToString(hash[:])))
}
