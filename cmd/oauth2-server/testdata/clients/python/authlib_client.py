"""Authlib against the server. The browser is at the other end of standard input and output, in lines of JSON."""

import json
import os
import sys

import requests
from authlib.integrations.requests_client import OAuth2Session
from authlib.jose import JsonWebKey, jwt
from authlib.oidc.core import CodeIDToken
from authlib.common.security import generate_token


def say(**what):
    print(json.dumps(what), flush=True)


def browse(url):
    say(open=url)
    return json.loads(sys.stdin.readline())["at"]


issuer, subject = os.environ["ISSUER"], os.environ["SUBJECT"]
metadata = requests.get(issuer + "/.well-known/openid-configuration", timeout=10).json()
assert metadata["issuer"] == issuer
say(did="discovery")

session = OAuth2Session(
    os.environ["CLIENT_ID"],
    os.environ["CLIENT_SECRET"],
    scope="openid profile email offline_access",
    redirect_uri=os.environ["REDIRECT_URI"],
    code_challenge_method="S256",
    token_endpoint=metadata["token_endpoint"],
)
verifier, nonce = generate_token(48), generate_token(20)
url, state = session.create_authorization_url(metadata["authorization_endpoint"], code_verifier=verifier, nonce=nonce)
token = session.fetch_token(
    metadata["token_endpoint"], authorization_response=browse(url), state=state, code_verifier=verifier
)
say(did="code, PKCE")

keys = JsonWebKey.import_key_set(requests.get(metadata["jwks_uri"], timeout=10).json())
claims = jwt.decode(
    token["id_token"],
    keys,
    claims_cls=CodeIDToken,
    claims_options={"iss": {"values": [issuer]}, "sub": {"value": subject}},
    claims_params={"nonce": nonce, "client_id": session.client_id, "access_token": token["access_token"]},
)
claims.validate()
say(did="id_token")

info = session.get(metadata["userinfo_endpoint"]).json()
assert info["sub"] == subject and info["email"] == "anna@example.com", info
say(did="userinfo")

fresh = session.refresh_token(metadata["token_endpoint"], token["refresh_token"])
assert fresh["refresh_token"] != token["refresh_token"]
say(did="refresh")

seen = session.introspect_token(metadata["introspection_endpoint"], fresh["access_token"], "access_token").json()
assert seen["active"] is True and seen["sub"] == subject, seen
say(did="introspection")

revoked = session.revoke_token(metadata["revocation_endpoint"], fresh["refresh_token"], "refresh_token")
assert revoked.status_code == 200, revoked.text
try:
    session.refresh_token(metadata["token_endpoint"], fresh["refresh_token"])
except Exception as err:
    assert "invalid_grant" in str(err), err
else:
    raise AssertionError("a revoked refresh token is not refused")
say(did="revocation")
