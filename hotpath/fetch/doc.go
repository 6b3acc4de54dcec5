// Package fetch asks other servers, at addresses that clients have registered: for their keys, and to tell of logouts.
//
// Whoever registers an address makes this server connect to it. So the address is judged when it is dialled, after the
// name was resolved (a name that resolves differently the second time gains nothing), nothing is followed anywhere else,
// and neither time nor memory is the other server's to spend.
package fetch
