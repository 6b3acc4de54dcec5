// Package pages is what people see: values in, HTML and the policy that it needs out. It knows no HTTP library, and decides nothing.
//
//	templates/layout.html   the frame of every page: brand, heading, main
//	templates/style.css     the one style, inline; the policy names it by its hash
//	templates/*.html        a page each: its title and its body
//
// No page needs a script, and none loads anything. Text is escaped by html/template wherever it stands.
package pages
