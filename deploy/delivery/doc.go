// Package delivery moves images, and the chart that they were tested with, from one
// environment to the next, by changing them in the repository. Argo CD does the rest.
//
//	release ─▶ publish ─▶ dev/images.yaml ─▶ promote ─▶ stg/images.yaml ─▶ promote ─▶ prod/images.yaml
//	   │ signature                    │ stage checks               ▲ rollback: lines of an older commit
//	   ▼                              ▼
//	registry, beside the image ◀── evidence, which promote verifies by cosign
//
// An images.yaml has one line for each image and one for the chart; this package
// changes only these lines. The checks that an image has passed are stored as a signed
// attestation of its digest, so that they cannot be lost, forged or mistaken for those
// of another image.
package delivery
