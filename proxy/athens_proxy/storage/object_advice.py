"""What to do about the error codes of object stores; pure.

Source: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html,
https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes, https://cloud.google.com/storage/docs/json_api/v1/status-codes
"""

from __future__ import annotations

from typing import Final

_MISSING: Final = "the bucket or container does not exist: create it, or correct its name in the storage settings"
_CREDENTIAL: Final = "the credential is not accepted: check access key and secret in the storage settings"
_EXPIRED: Final = "the session token has expired or is not valid: renew the credential"
_DENIED: Final = "this identity may not: grant it reading, writing, deleting and listing in this bucket"
_REGION: Final = "check the region and the endpoint in the storage settings"
_BUSY: Final = "the service asks for fewer requests: try again later"
_UNREACHABLE: Final = "check the endpoint in the storage settings and the way to it, and try again"

_BY_CODE: Final = {
    **dict.fromkeys(("NoSuchBucket", "ContainerNotFound", "ContainerBeingDeleted"), _MISSING),
    **dict.fromkeys(
        (
            "InvalidAccessKeyId",
            "XAdminUserNotFound",
            "SignatureDoesNotMatch",
            "AuthorizationFailure",
            "AuthenticationFailed",
            "InvalidAuthenticationInfo",
            "Unauthorized",
        ),
        _CREDENTIAL,
    ),
    **dict.fromkeys(("ExpiredToken", "InvalidToken", "TokenRefreshRequired", "InvalidTokenId"), _EXPIRED),
    **dict.fromkeys(
        ("AccessDenied", "AllAccessDisabled", "AuthorizationPermissionMismatch", "InsufficientAccountPermissions"),
        _DENIED,
    ),
    **dict.fromkeys(
        ("AuthorizationHeaderMalformed", "PermanentRedirect", "TemporaryRedirect", "InvalidRegion"),
        _REGION,
    ),
    **dict.fromkeys(("SlowDown", "ServerBusy", "TooManyRequests", "OperationTimedOut"), _BUSY),
}


def advice(code: str) -> str:
    """The next step for a service's error code; for "" and unknown codes that of an unreachable service."""
    return _BY_CODE.get(code, _UNREACHABLE)
