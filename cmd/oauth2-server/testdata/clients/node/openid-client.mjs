import * as client from 'openid-client'
import { check, did, open } from './browser.mjs'

const { ISSUER, CLIENT_ID, CLIENT_SECRET, REDIRECT_URI, POST_LOGOUT_REDIRECT_URI, SUBJECT, AUTH_METHOD } = process.env
const methods = { client_secret_basic: client.ClientSecretBasic, client_secret_jwt: client.ClientSecretJwt, none: client.None }
const config = await client.discovery(new URL(ISSUER), CLIENT_ID, CLIENT_SECRET, methods[AUTH_METHOD](CLIENT_SECRET), {
  execute: [client.allowInsecureRequests],
})
did('discovery')

// Code with PKCE, the request pushed (RFC 9126). The library checks state, nonce, iss, and the id_token.
const verifier = client.randomPKCECodeVerifier()
const state = client.randomState()
const nonce = client.randomNonce()
const parameters = {
  redirect_uri: REDIRECT_URI,
  scope: 'openid profile email offline_access',
  code_challenge: await client.calculatePKCECodeChallenge(verifier),
  code_challenge_method: 'S256',
  state,
  nonce,
}
const pushed = await client.buildAuthorizationUrlWithPAR(config, parameters)
check(pushed.searchParams.get('request_uri').startsWith('urn:ietf:params:oauth:request_uri:'), 'request_uri')
const checks = { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce, idTokenExpected: true }
const tokens = await client.authorizationCodeGrant(config, await open(pushed), checks)
check(tokens.claims().sub === SUBJECT, 'sub of the id_token')
did('PAR, code, PKCE, id_token')

// The same without PAR, silently, where the user would have to sign in again: an error comes back, with iss (RFC 9207).
const silent = client.buildAuthorizationUrl(config, { ...parameters, prompt: 'none', max_age: '0' })
try {
  await client.authorizationCodeGrant(config, await open(silent), checks)
  check(false, 'prompt=none with max_age=0 fails')
} catch (err) {
  check(err.error === 'login_required', `login_required, not ${err}`)
  did('error with iss')
}

const info = await client.fetchUserInfo(config, tokens.access_token, SUBJECT)
check(info.preferred_username === 'anna' && info.email === 'anna@example.com', 'userinfo')
did('userinfo')

const fresh = await client.refreshTokenGrant(config, tokens.refresh_token)
check(fresh.refresh_token !== tokens.refresh_token, 'rotation')
check(fresh.claims().sub === SUBJECT, 'sub of the refreshed id_token')
const narrow = await client.refreshTokenGrant(config, fresh.refresh_token, { scope: 'openid' })
check(narrow.scope === 'openid', 'narrower scope')
did('refresh')

if (AUTH_METHOD !== 'none') {
  const seen = await client.tokenIntrospection(config, narrow.access_token)
  check(seen.active === true && seen.client_id === CLIENT_ID && seen.sub === SUBJECT, 'introspection')
  did('introspection')
}

await client.tokenRevocation(config, narrow.refresh_token)
try {
  await client.refreshTokenGrant(config, narrow.refresh_token)
  check(false, 'a revoked refresh token is refused')
} catch (err) {
  check(err.error === 'invalid_grant', `invalid_grant, not ${err}`)
  did('revocation')
}

const bye = client.buildEndSessionUrl(config, {
  post_logout_redirect_uri: POST_LOGOUT_REDIRECT_URI,
  id_token_hint: fresh.id_token,
  state: 'bye',
})
check((await open(bye)).href === POST_LOGOUT_REDIRECT_URI + '?state=bye', 'back from the logout')
did('logout')
process.exit(0)
