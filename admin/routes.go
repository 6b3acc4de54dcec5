package admin

import "slices"

// routes is everything that an operator can do, by noun.
func routes() []route {
	return slices.Concat(
		clientRoutes(),
		userRoutes(),
		grantRoutes(),
		tokenRoutes(),
		revokeRoutes(),
		keyRoutes(),
		limitRoutes(),
		auditRoutes(),
		retentionRoutes(),
		statsRoutes(),
		doctorRoutes(),
		configRoutes(),
	)
}
