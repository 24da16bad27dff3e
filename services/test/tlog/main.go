// Checks what a transparency log serves with the libraries of its ecosystem, and no code of this project.
//
//	tlog checkpoint ORIGIN LOGKEY CHECKPOINT
//	tlog cosignature ORIGIN LOGKEY CHECKPOINT WITNESSKEY
//	tlog inclusion ORIGIN LOGKEY PROOF ENTRY
//	tlog consistency ORIGIN LOGKEY OLD NEW HASHES
//	tlog tiles ORIGIN LOGKEY URL [HEADER VALUE]
//
// CHECKPOINT, OLD, NEW, PROOF (of c2sp.org/tlog-proof), ENTRY (bytes) and HASHES (base64, one a line) are
// files, keys are verifier keys, URL is where the log is served. Exits with 1 and a reason if it refuses.
package main

import (
	"encoding/base64"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/transparency-dev/formats/log"
	cosignature "github.com/transparency-dev/formats/note"
	tlogproof "github.com/transparency-dev/formats/proof"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"
)

var commands = map[string]func(origin string, key note.Verifier, args []string) error{
	"checkpoint":  checkpoint,
	"cosignature": cosigned,
	"inclusion":   inclusion,
	"consistency": consistency,
	"tiles":       tiles,
}

func main() {
	command, known := commands[os.Args[1]]
	if !known {
		fail(fmt.Errorf("unknown command %s", os.Args[1]))
	}
	key, err := note.NewVerifier(os.Args[3])
	if err != nil {
		fail(err)
	}
	if err := command(os.Args[2], key, os.Args[4:]); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func checkpoint(origin string, key note.Verifier, args []string) error {
	head, err := read(origin, key, args[0])
	if err != nil {
		return err
	}
	fmt.Println(head.Size, base64.StdEncoding.EncodeToString(head.Hash))
	return nil
}

func cosigned(origin string, key note.Verifier, args []string) error {
	witness, err := cosignature.NewVerifierForCosignatureV1(args[1])
	if err != nil {
		return err
	}
	bytes, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	_, _, signed, err := log.ParseCheckpoint(bytes, origin, key, witness)
	if err != nil {
		return err
	}
	for _, signature := range signed.Sigs {
		if signature.Hash == witness.KeyHash() && signature.Name == witness.Name() {
			date, err := cosignature.CoSigV1Timestamp(signature)
			fmt.Println(signature.Name, date.UTC().Format(time.RFC3339))
			return err
		}
	}
	return fmt.Errorf("no cosignature of %s", witness.Name())
}

func inclusion(origin string, key note.Verifier, args []string) error {
	bytes, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	var path tlogproof.TLogProof
	if err := path.Unmarshal(bytes); err != nil {
		return err
	}
	entry, err := os.ReadFile(args[1])
	if err != nil {
		return err
	}
	head, _, _, err := log.ParseCheckpoint(path.Checkpoint, origin, key)
	if err != nil {
		return err
	}
	var hashes [][]byte
	for _, hash := range path.Hashes {
		hashes = append(hashes, hash[:])
	}
	hasher := rfc6962.DefaultHasher
	return proof.VerifyInclusion(hasher, path.Index, head.Size, hasher.HashLeaf(entry), hashes, head.Hash)
}

func consistency(origin string, key note.Verifier, args []string) error {
	old, err := read(origin, key, args[0])
	if err != nil {
		return err
	}
	head, err := read(origin, key, args[1])
	if err != nil {
		return err
	}
	lines, err := os.ReadFile(args[2])
	if err != nil {
		return err
	}
	var hashes [][]byte
	for _, line := range strings.Fields(string(lines)) {
		hash, err := base64.StdEncoding.DecodeString(line)
		if err != nil {
			return err
		}
		hashes = append(hashes, hash)
	}
	return proof.VerifyConsistency(rfc6962.DefaultHasher, old.Size, head.Size, hashes, old.Hash, head.Hash)
}

func read(origin string, key note.Verifier, file string) (*log.Checkpoint, error) {
	bytes, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	head, _, _, err := log.ParseCheckpoint(bytes, origin, key)
	return head, err
}
