// Package cache is the tier between the hot path and the store: what may be
// answered without asking the store, and how fresh that is.
//
//	Find ──► L1 (process memory) ──► L2 (Redis, sealed) ──► store     tokens.go, l1.go, l2.go
//	Put  ──► one batch for concurrent callers ──► store ──► L1, L2    tokens.go, store/batch
//
//	store's feed ──20 polls/s──► clients, keys, limits, deny set, cut-offs    feed.go, state.go, deny.go
//	                             fence: how old is that?              fence.go
//	                             the store's clock                    clock.go
//
//	for the doctor: how Redis is, and how far the way there goes     inspect.go, inspecting.go, reach.go
//
// Records never change, so caches of them need no invalidation; what kills
// them is the deny set and the cut-offs, which every replica holds whole.
// Redis is a hint: lost, hung, forged or full, it costs speed and never truth.
package cache
