"""The settings of a proxy, ours or Athens, that uses the store on one of the test servers."""

from __future__ import annotations

from support.object_servers import ACCESS_KEY, REGION, SECRET_KEY, ObjectServer


def s3_settings(server: ObjectServer, bucket: str) -> dict[str, str]:
    """A bucket of versitygw."""
    return {
        "ATHENS_STORAGE_TYPE": "s3",
        "AWS_REGION": REGION,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_FORCE_PATH_STYLE": "true",
        "AWS_ENDPOINT": server.url,
        "ATHENS_S3_BUCKET_NAME": bucket,
    }


def minio_settings(server: ObjectServer, bucket: str) -> dict[str, str]:
    """A bucket of MinIO."""
    return {
        "ATHENS_STORAGE_TYPE": "minio",
        "ATHENS_MINIO_ENDPOINT": server.host,
        "ATHENS_MINIO_ACCESS_KEY_ID": ACCESS_KEY,
        "ATHENS_MINIO_SECRET_ACCESS_KEY": SECRET_KEY,
        "ATHENS_MINIO_BUCKET_NAME": bucket,
        "ATHENS_MINIO_REGION": REGION,
        "ATHENS_MINIO_USE_SSL": "false",
    }


def mongo_settings(url: str, database: str) -> dict[str, str]:
    """A database of FerretDB."""
    return {
        "ATHENS_STORAGE_TYPE": "mongo",
        "ATHENS_MONGO_STORAGE_URL": url,
        "ATHENS_MONGO_DEFAULT_DATABASE": database,
    }
