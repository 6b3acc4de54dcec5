package report

import (
	"cmp"
	"math"
	"slices"
	"strings"
)

// The frame of every chart, in the pixels of its view box. It is drawn as wide as its place, phone or desk.
const (
	chartWidth   = 480
	plotHeight   = 190
	plotLeft     = 62
	plotRight    = 458
	titleStrip   = 26 // above the plot: the axis' title, or what is read off under the pointer
	bandStrip    = 18 // below that: the names of phases, if there are any
	ticksStrip   = 22 // below the plot
	letterWidth  = 7.5
	letterHeight = 12
)

// A chart is what its template draws.
type chart struct {
	Title  string
	Note   string // one line below it; may be empty
	X, Y   *axis
	Lines  []*line
	Bands  []band
	Limits []limit
	Stops  []stop
	Styles []style // the legend of line styles
	Keys   []key   // the legend of colours, where they are not the sides'
	Table  table
	Top    float64 // of the plot
	Bottom float64
}

// A line joins points; one whose Y is not a number parts it.
type line struct {
	Side   int    // which colour
	Style  string // thick, thin, dots, dash
	Mark   string // a letter at its end; may be empty
	End    spot   // where the letter stands
	Dots   bool   // a dot at each point
	Points []point
	x, y   *axis
}

type point struct{ X, Y float64 }

// A style is one entry of the legend.
type style struct{ Style, Name string }

// A key is the colour of a curve that has a name of its own.
type key struct {
	Side       int
	Mark, Name string
}

// A band is a phase: from X on, Width wide.
type band struct {
	from, to float64 // values
	Name     string
	X, Width pixel
	Odd      bool
}

// A limit is a horizontal line that a curve should stay below or above.
type limit struct {
	value float64
	Name  string
	Y     pixel
}

// A stop is where the pointer reads all lines at once.
type stop struct {
	value    float64
	Head     string
	Reads    []read
	X        pixel // of the line
	From, To pixel // of the strip that feels the pointer
}

// A read is one side's values at a stop.
type read struct {
	Side int
	Mark string
	Text string
}

// A table holds a chart's numbers.
type table struct {
	Head []string
	Rows [][]string
}

// place gives everything its pixels. It is the last step of making a chart.
func (c *chart) place() *chart {
	c.Top = titleStrip
	if len(c.Bands) > 0 {
		c.Top += bandStrip
	}
	c.Bottom = c.Top + plotHeight
	c.X.from, c.X.to = plotLeft, plotRight
	c.Y.from, c.Y.to = c.Bottom, c.Top
	for _, l := range c.Lines {
		l.x, l.y = c.X, c.Y
	}
	c.placeMarks()
	c.placeBands()
	for i := range c.Limits {
		c.Limits[i].Y = pixel(c.Y.at(c.Limits[i].value))
	}
	c.placeStops()
	return c
}

// placeMarks puts letters just behind the last points, and apart where lines end together.
func (c *chart) placeMarks() {
	var marked []*line
	for _, l := range c.Lines {
		last := slices.IndexFunc(l.Points, func(p point) bool { return !math.IsNaN(p.Y) })
		for i := max(last, 0); i < len(l.Points); i++ {
			if !math.IsNaN(l.Points[i].Y) {
				last = i
			}
		}
		if l.Mark != "" && last >= 0 {
			l.End = spot{pixel(c.X.at(l.Points[last].X) + 5), pixel(c.Y.at(l.Points[last].Y) + 4)}
			marked = append(marked, l)
		}
	}
	slices.SortStableFunc(marked, func(a, b *line) int { return cmp.Compare(a.End.Y, b.End.Y) })
	for i := 1; i < len(marked); i++ {
		if above := marked[i-1].End; marked[i].End.X-above.X < letterHeight {
			marked[i].End.Y = max(marked[i].End.Y, above.Y+letterHeight)
		}
	}
}

// placeBands cuts names to the room they have.
func (c *chart) placeBands() {
	for i := range c.Bands {
		b := &c.Bands[i]
		from, to := c.X.at(b.from), c.X.at(b.to)
		b.X, b.Width, b.Odd = pixel(from), pixel(to-from), i%2 == 1
		b.Name = shorten(b.Name, int((to-from-4)/letterWidth))
	}
}

// shorten cuts text to n letters, the last of which tells that it was cut.
func shorten(text string, n int) string {
	letters := []rune(text)
	switch {
	case len(letters) <= n:
		return text
	case n < 3:
		return ""
	}
	return string(letters[:n-1]) + "…"
}

// placeStops gives each the room halfway to its neighbours.
func (c *chart) placeStops() {
	for i := range c.Stops {
		s := &c.Stops[i]
		at := c.X.at(s.value)
		from, to := float64(plotLeft), float64(plotRight)
		if i > 0 {
			from = (c.X.at(c.Stops[i-1].value) + at) / 2
		}
		if i+1 < len(c.Stops) {
			to = (at + c.X.at(c.Stops[i+1].value)) / 2
		}
		s.X, s.From, s.To = pixel(at), pixel(from), pixel(to)
	}
}

// What follows is for the template.

func (c *chart) XTicks() []tick  { return c.X.ticks() }
func (c *chart) YTicks() []tick  { return c.Y.ticks() }
func (c *chart) Left() int       { return plotLeft }
func (c *chart) Right() int      { return plotRight }
func (c *chart) Width() int      { return chartWidth }
func (c *chart) PlotHeight() int { return plotHeight }
func (c *chart) BandLine() pixel { return pixel(c.Top - 6) } // where phases' names stand
func (c *chart) XLabels() pixel  { return pixel(c.Bottom + 17) }
func (c *chart) YLabels() int    { return plotLeft - 8 }
func (s stop) Width() pixel      { return s.To - s.From }
func (b band) Middle() pixel     { return b.X + b.Width/2 }

// Height leaves room for the title of the axis below, if it has one.
func (c *chart) Height() int {
	if c.X.Title == "" {
		return int(c.Bottom) + ticksStrip
	}
	return int(c.Bottom) + ticksStrip + titleStrip/2
}

// Path is the line in SVG's words.
func (l *line) Path() string {
	var path strings.Builder
	pen := "M"
	for _, p := range l.Points {
		if math.IsNaN(p.Y) {
			pen = "M"
			continue
		}
		path.WriteString(pen + pixel(l.x.at(p.X)).String() + " " + pixel(l.y.at(p.Y)).String())
		pen = "L"
	}
	return path.String()
}

// Spots are the points by themselves: all of them if each has a dot, else those that have no neighbour to be joined to.
func (l *line) Spots() []spot {
	drawn := func(i int) bool { return i >= 0 && i < len(l.Points) && !math.IsNaN(l.Points[i].Y) }
	var spots []spot
	for i, p := range l.Points {
		if drawn(i) && (l.Dots || !drawn(i-1) && !drawn(i+1)) {
			spots = append(spots, spot{pixel(l.x.at(p.X)), pixel(l.y.at(p.Y))})
		}
	}
	return spots
}

// A spot is a dot's centre.
type spot struct{ X, Y pixel }
