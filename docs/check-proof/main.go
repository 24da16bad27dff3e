// Checks that a record is in the register: go run . LOGKEY WITNESSKEY < answer.json
package main

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"log"
	"os"

	"github.com/gowebpki/jcs"
	checkpoint "github.com/transparency-dev/formats/log"
	cosignature "github.com/transparency-dev/formats/note"
	tlogproof "github.com/transparency-dev/formats/proof"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"
)

func main() {
	logKey, err := note.NewVerifier(os.Args[1])
	check(err)
	witnessKey, err := cosignature.NewVerifierForCosignatureV1(os.Args[2])
	check(err)
	var answer struct {
		Record json.RawMessage
		Salt   []byte
		Proof  string
	}
	check(json.NewDecoder(os.Stdin).Decode(&answer))
	record, err := jcs.Transform(answer.Record)
	check(err)
	entry := sha256.Sum256(append(answer.Salt, record...))

	var path tlogproof.TLogProof
	check(path.Unmarshal([]byte(answer.Proof)))
	head, _, signed, err := checkpoint.ParseCheckpoint(path.Checkpoint, logKey.Name(), logKey, witnessKey)
	check(err)
	if len(signed.Sigs) < 2 {
		log.Fatal("not witnessed yet")
	}
	var hashes [][]byte
	for _, hash := range path.Hashes {
		hashes = append(hashes, hash[:])
	}
	leaf := rfc6962.DefaultHasher.HashLeaf(entry[:])
	check(proof.VerifyInclusion(rfc6962.DefaultHasher, path.Index, head.Size, leaf, hashes, head.Hash))
	fmt.Printf("record %d of %d, witnessed by %s\n", path.Index, head.Size, witnessKey.Name())
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
