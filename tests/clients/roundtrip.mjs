// What a program on Node.js does with a bucket, by the client that AWS publishes. Prints "ok".
//
//     node roundtrip.mjs ENDPOINT ACCESS_KEY SECRET_KEY BUCKET
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import {
	CompleteMultipartUploadCommand, CopyObjectCommand, CreateBucketCommand,
	CreateMultipartUploadCommand, DeleteObjectsCommand, GetObjectCommand, HeadObjectCommand,
	ListObjectsV2Command, PutObjectCommand, S3Client, UploadPartCommand, paginateListObjectsV2,
} from "@aws-sdk/client-s3";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";

const [endpoint, accessKeyId, secretAccessKey, Bucket] = process.argv.slice(2);
const client = new S3Client({
	endpoint, region: "us-east-1", forcePathStyle: true, maxAttempts: 1,
	credentials: { accessKeyId, secretAccessKey },
});
const send = (Command, input) => client.send(new Command({ Bucket, ...input }));
const bytesOf = async (answer) => Buffer.from(await answer.Body.transformToByteArray());

await send(CreateBucketCommand, {});

// An object with metadata and a checksum, whole and in part.
const body = randomBytes(300_000);
const Key = "ünï/code key+&.bin";
await send(PutObjectCommand, {
	Key, Body: body, ContentType: "application/x-test", Metadata: { colour: "red" },
	ChecksumAlgorithm: "SHA256",
});
const head = await send(HeadObjectCommand, { Key });
assert.equal(head.ContentLength, body.length);
assert.equal(head.ContentType, "application/x-test");
assert.equal(head.Metadata.colour, "red");
assert.deepEqual(await bytesOf(await send(GetObjectCommand, { Key })), body);
const part = await send(GetObjectCommand, { Key, Range: "bytes=1000-1999" });
assert.equal(part.ContentRange, `bytes 1000-1999/${body.length}`);
assert.deepEqual(await bytesOf(part), body.subarray(1000, 2000));
await assert.rejects(send(GetObjectCommand, { Key: "none" }), { name: "NoSuchKey" });

// Whoever has the address needs no keys.
const url = await getSignedUrl(client, new GetObjectCommand({ Bucket, Key }), { expiresIn: 60 });
assert.deepEqual(Buffer.from(await (await fetch(url)).arrayBuffer()), body);

// In parts.
const parts = [randomBytes(5 << 20), randomBytes(1234)];
const { UploadId } = await send(CreateMultipartUploadCommand, { Key: "parts" });
const Parts = [];
for (const [i, data] of parts.entries()) {
	const { ETag } = await send(UploadPartCommand, { Key: "parts", UploadId, PartNumber: i + 1, Body: data });
	Parts.push({ ETag, PartNumber: i + 1 });
}
const { ETag } = await send(CompleteMultipartUploadCommand, { Key: "parts", UploadId, MultipartUpload: { Parts } });
assert.match(ETag, /^"[0-9a-f]{32}-2"$/);
assert.deepEqual(await bytesOf(await send(GetObjectCommand, { Key: "parts" })), Buffer.concat(parts));

// Copies, pages, folders.
for (let i = 0; i < 5; i++)
	await send(CopyObjectCommand, { Key: `copies/${i}`, CopySource: encodeURI(`${Bucket}/parts`) });
const keys = [];
for await (const page of paginateListObjectsV2({ client, pageSize: 2 }, { Bucket, Prefix: "copies/" }))
	keys.push(...page.Contents.map((object) => object.Key));
assert.deepEqual(keys, [0, 1, 2, 3, 4].map((i) => `copies/${i}`));
const folders = await send(ListObjectsV2Command, { Delimiter: "/" });
assert.deepEqual(folders.CommonPrefixes.map((prefix) => prefix.Prefix), ["copies/", "ünï/"]);

const all = (await send(ListObjectsV2Command, {})).Contents.map((object) => ({ Key: object.Key }));
const deleted = await send(DeleteObjectsCommand, { Delete: { Objects: all } });
assert.equal(deleted.Deleted.length, 7);
assert.equal((await send(ListObjectsV2Command, {})).KeyCount, 0);
console.log("ok");
