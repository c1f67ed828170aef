"""The multipart example of the user manual, as it stands there (6-byte parts)."""

import pytest

pytestmark = pytest.mark.local


def test_the_manuals_multipart_example(node_factory):
    node = node_factory(MULTIPART_MIN_PART_SIZE=1)
    s3 = node.client()
    s3.create_bucket(Bucket="mybucket")

    # Initiate
    response = s3.create_multipart_upload(Bucket='mybucket', Key='large.bin')
    upload_id = response['UploadId']
    # Upload parts
    parts = []
    chunks = [b'chunk1', b'chunk2'] # Example data chunks
    for part_number, chunk in enumerate(chunks, start=1):
        response = s3.upload_part(
            Bucket='mybucket',
            Key='large.bin',
            PartNumber=part_number,
            UploadId=upload_id,
            Body=chunk
        )
        parts.append({'PartNumber': part_number, 'ETag': response['ETag']})
    # Complete
    s3.complete_multipart_upload(
        Bucket='mybucket',
        Key='large.bin',
        UploadId=upload_id,
        MultipartUpload={'Parts': parts}
    )

    assert s3.get_object(Bucket="mybucket", Key="large.bin")["Body"].read() == b"chunk1chunk2"
    node.wait_file("mybucket", "large.bin", b"chunk1chunk2")
