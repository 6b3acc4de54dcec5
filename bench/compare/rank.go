package compare

import (
	"math"
	"slices"
)

// rankTest is the two-sided probability that two samples of one and the same distribution lie as far apart as a and b do, by
// the test of Wilcoxon, Mann and Whitney: it asks only which value is larger, and so no outlier sways it. It is exact, ties
// included: of all ways to deal the ranks to a and b, those that are at least as uneven. Nothing is compared with nothing: 1.
func rankTest(a, b []float64) float64 {
	if len(a) == 0 || len(b) == 0 {
		return 1
	}
	ranks := doubledRanks(a, b)
	total := 0
	for _, r := range ranks {
		total += r
	}
	seen := 0
	for _, r := range ranks[:len(a)] {
		seen += r
	}
	ways := deals(ranks, len(a), total)
	// The mean of all deals is len(a) of len(ranks) parts; multiplied by len(ranks), all is whole numbers.
	distance := func(sum int) int { return abs(sum*len(ranks) - total*len(a)) }
	all, uneven := 0.0, 0.0
	for sum, n := range ways {
		all += n
		if distance(sum) >= distance(seen) {
			uneven += n
		}
	}
	return uneven / all
}

// doubledRanks is the ranks of a's values, then b's, among all, times two: equal values share the mean of their ranks, which may end in ½.
func doubledRanks(a, b []float64) []int {
	all := slices.Concat(a, b)
	sorted := slices.Sorted(slices.Values(all))
	ranks := make([]int, len(all))
	for i, v := range all {
		first, _ := slices.BinarySearch(sorted, v)
		last := first
		for last < len(sorted) && sorted[last] == v {
			last++
		}
		ranks[i] = first + 1 + last
	}
	return ranks
}

// deals counts, by their sum, the ways to take n of the ranks.
func deals(ranks []int, n, total int) []float64 {
	ways := make([][]float64, n+1) // by how many were taken, and their sum
	for k := range ways {
		ways[k] = make([]float64, total+1)
	}
	ways[0][0] = 1
	for _, r := range ranks {
		for k := n; k > 0; k-- {
			for sum := total; sum >= r; sum-- {
				ways[k][sum] += ways[k-1][sum-r]
			}
		}
	}
	return ways[n]
}

// leastP is the smallest probability that samples of n and m values can come to: when neither overlaps the other.
func leastP(n, m int) float64 {
	ways := 1.0
	for k := 1; k <= m; k++ {
		ways *= float64(n+k) / float64(k)
	}
	return min(1, 2/math.Round(ways))
}

func abs(n int) int {
	if n < 0 {
		return -n
	}
	return n
}

// median is the middle value, the mean of the middle two of an even number; there must be one.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}
