// Package delivery moves images, and the chart that they were tested with, from one
// environment to the next, by changing what the repository says of them. Argo CD does
// the rest.
//
//	release ─▶ publish ─▶ dev/images.yaml ─▶ promote ─▶ stg/images.yaml ─▶ promote ─▶ prod/images.yaml
//	   │ signature                    │ stage checks               ▲ rollback: lines of an older commit
//	   ▼                              ▼
//	registry, beside the image ◀── evidence, which promote asks for by cosign
//
// An images.yaml has one line for each image and one for the chart, and nothing here
// changes any other.
// What an image has passed is kept as a signed attestation on its digest, so that
// it cannot be lost, forged or confused with another image's.
package delivery
