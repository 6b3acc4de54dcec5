import * as oauth from 'oauth4webapi'
import { check, did, open } from './browser.mjs'

const { ISSUER, CLIENT_ID, CLIENT_SECRET, REDIRECT_URI, POST_LOGOUT_REDIRECT_URI, SUBJECT } = process.env
const plain = { [oauth.allowInsecureRequests]: true }
const client = { client_id: CLIENT_ID }
const proof = oauth.ClientSecretPost(CLIENT_SECRET)

// As an authorization server (RFC 8414) and as an OpenID provider: the same.
const issuer = new URL(ISSUER)
const asOAuth = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...plain }))
const as = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, plain))
check(asOAuth.token_endpoint === as.token_endpoint, 'one metadata')
did('discovery')

// Code with PKCE. Every check of the library is on: state, iss (RFC 9207), nonce, auth_time, and the signature of the id_token.
const verifier = oauth.generateRandomCodeVerifier()
const state = oauth.generateRandomState()
const nonce = oauth.generateRandomNonce()
const parameters = {
  client_id: CLIENT_ID,
  redirect_uri: REDIRECT_URI,
  response_type: 'code',
  scope: 'openid profile email offline_access',
  code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
  code_challenge_method: 'S256',
  max_age: '3600',
  state,
  nonce,
}
const pushed = await oauth.processPushedAuthorizationResponse(
  as,
  client,
  await oauth.pushedAuthorizationRequest(as, client, proof, parameters, plain),
)
const address = new URL(as.authorization_endpoint)
address.search = new URLSearchParams({ client_id: CLIENT_ID, request_uri: pushed.request_uri })
const answer = oauth.validateAuthResponse(as, client, await open(address), state)
const response = await oauth.authorizationCodeGrantRequest(as, client, proof, answer, REDIRECT_URI, verifier, plain)
const tokens = await oauth.processAuthorizationCodeResponse(as, client, response, { expectedNonce: nonce, maxAge: 3600, requireIdToken: true })
await oauth.validateApplicationLevelSignature(as, response, plain)
check(oauth.getValidatedIdTokenClaims(tokens).sub === SUBJECT, 'sub of the id_token')
did('PAR, code, PKCE, id_token')

const info = await oauth.processUserInfoResponse(as, client, SUBJECT, await oauth.userInfoRequest(as, client, tokens.access_token, plain))
check(info.email === 'anna@example.com', 'userinfo')
did('userinfo')

const refreshed = await oauth.refreshTokenGrantRequest(as, client, proof, tokens.refresh_token, plain)
const fresh = await oauth.processRefreshTokenResponse(as, client, refreshed)
await oauth.validateApplicationLevelSignature(as, refreshed, plain)
check(fresh.refresh_token !== tokens.refresh_token, 'rotation')
did('refresh')

const seen = await oauth.processIntrospectionResponse(as, client, await oauth.introspectionRequest(as, client, proof, fresh.access_token, plain))
check(seen.active === true && seen.sub === SUBJECT, 'introspection')
did('introspection')

await oauth.processRevocationResponse(await oauth.revocationRequest(as, client, proof, fresh.refresh_token, plain))
const again = await oauth.refreshTokenGrantRequest(as, client, proof, fresh.refresh_token, plain)
try {
  await oauth.processRefreshTokenResponse(as, client, again)
  check(false, 'a revoked refresh token is refused')
} catch (err) {
  check(err.error === 'invalid_grant', `invalid_grant, not ${err}`)
  did('revocation')
}

const bye = new URL(as.end_session_endpoint)
bye.search = new URLSearchParams({ id_token_hint: fresh.id_token, post_logout_redirect_uri: POST_LOGOUT_REDIRECT_URI, state: 'bye' })
check((await open(bye)).href === POST_LOGOUT_REDIRECT_URI + '?state=bye', 'back from the logout')
did('logout')
process.exit(0)
