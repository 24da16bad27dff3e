// Checks that records are in the register: one record, or a pack of evidence that was unzipped into DIR.
//
//	go run . LOGKEY WITNESSKEY < answer.json
//	go run . LOGKEY WITNESSKEY DIR
package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/gowebpki/jcs"
	checkpoint "github.com/transparency-dev/formats/log"
	cosignature "github.com/transparency-dev/formats/note"
	tlogproof "github.com/transparency-dev/formats/proof"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"
)

var logKey, witnessKey note.Verifier

func main() {
	log.SetFlags(0)
	var err error
	if len(os.Args) < 3 {
		log.Fatal("check-proof LOGKEY WITNESSKEY < answer.json, or check-proof LOGKEY WITNESSKEY DIR")
	}
	logKey, err = note.NewVerifier(os.Args[1])
	check(err)
	witnessKey, err = cosignature.NewVerifierForCosignatureV1(os.Args[2])
	check(err)
	if len(os.Args) > 3 {
		checkPack(os.Args[3])
	} else {
		checkAnswer()
	}
}

// The answer of GET /audit/{id}/proof
func checkAnswer() {
	var answer struct {
		Record json.RawMessage
		Salt   []byte
		Proof  string
	}
	check(json.NewDecoder(os.Stdin).Decode(&answer))
	index, size, witnessed, err := verify(commitment(answer.Salt, answer.Record), answer.Proof)
	check(err)
	if !witnessed {
		log.Fatal("not witnessed yet")
	}
	fmt.Printf("record %d of %d, witnessed by %s\n", index, size, witnessKey.Name())
}

// The answer of GET /audit/evidence or GET /patient/{patientId}/accounting, unzipped
func checkPack(dir string) {
	files := checkSums(dir)
	records, err := os.Open(filepath.Join(dir, "records.ndjson"))
	check(err)
	defer records.Close()
	lines := bufio.NewReader(records)
	rows, err := csv.NewReader(bytes.NewReader(read(dir, "entries.csv"))).ReadAll()
	check(err)
	var proven, shortened, unwitnessed, unsequenced int
	for _, row := range rows[1:] {
		id, index, kind := row[0], row[1], row[2]
		salt, err := hex.DecodeString(row[3])
		check(err)
		entry, err := hex.DecodeString(row[4])
		check(err)
		line, err := lines.ReadBytes('\n')
		check(err)
		var record struct{ ID string }
		check(json.Unmarshal(line, &record))
		if record.ID != id {
			log.Fatalf("record %s is where %s should be", record.ID, id)
		}
		if kind != "whole" {
			shortened++
		} else if !bytes.Equal(commitment(salt, line), entry) {
			log.Fatalf("record %s is not what the log has", id)
		}
		if index == "" {
			unsequenced++
			continue
		}
		name := "proofs/" + id + ".tlog-proof"
		if !files[name] {
			log.Fatalf("%s is not in SHA256SUMS", name)
		}
		at, _, witnessed, err := verify(entry, string(read(dir, name)))
		if err != nil {
			log.Fatalf("record %s: %v", id, err)
		}
		if strconv.FormatUint(at, 10) != index {
			log.Fatalf("record %s: the proof is of entry %d", id, at)
		}
		if witnessed {
			proven++
		} else {
			unwitnessed++
		}
	}
	if _, err := lines.ReadByte(); err == nil {
		log.Fatal("records.ndjson has records that entries.csv does not have")
	}
	fmt.Printf("%d records: %d proven and witnessed by %s, %d not witnessed yet, %d not sequenced yet\n",
		len(rows)-1, proven, witnessKey.Name(), unwitnessed, unsequenced)
	if shortened > 0 {
		fmt.Printf("%d of them are shortened: their entry is proven, not what the pack shows of them\n", shortened)
	}
}

// The files of SHA256SUMS, which the log must have signed, each with the content that it names
func checkSums(dir string) map[string]bool {
	sums, err := note.Open(read(dir, "SHA256SUMS"), note.VerifierList(logKey))
	if err != nil {
		log.Fatalf("SHA256SUMS: %v", err)
	}
	lines := strings.Split(strings.TrimSuffix(sums.Text, "\n"), "\n")
	if lines[0] != logKey.Name()+"/evidence" {
		log.Fatal("SHA256SUMS is not one of evidence")
	}
	files := map[string]bool{}
	for _, line := range lines[1:] {
		sum, name, _ := strings.Cut(line, "  ")
		got := sha256.Sum256(read(dir, name))
		if hex.EncodeToString(got[:]) != sum {
			log.Fatalf("%s was changed", name)
		}
		files[name] = true
	}
	for _, name := range []string{"records.ndjson", "entries.csv"} {
		if !files[name] {
			log.Fatalf("%s is not in SHA256SUMS", name)
		}
	}
	return files
}

// What the log has of a record
func commitment(salt []byte, record []byte) []byte {
	canonical, err := jcs.Transform(record)
	check(err)
	entry := sha256.Sum256(append(salt, canonical...))
	return entry[:]
}

// Whether the log has an entry, according to a tlog-proof whose checkpoint the log has signed
func verify(entry []byte, text string) (index uint64, size uint64, witnessed bool, err error) {
	var path tlogproof.TLogProof
	if err = path.Unmarshal([]byte(text)); err != nil {
		return
	}
	head, _, signed, err := checkpoint.ParseCheckpoint(path.Checkpoint, logKey.Name(), logKey, witnessKey)
	if err != nil {
		return
	}
	var hashes [][]byte
	for _, hash := range path.Hashes {
		hashes = append(hashes, hash[:])
	}
	leaf := rfc6962.DefaultHasher.HashLeaf(entry)
	err = proof.VerifyInclusion(rfc6962.DefaultHasher, path.Index, head.Size, leaf, hashes, head.Hash)
	return path.Index, head.Size, len(signed.Sigs) >= 2, err
}

func read(dir, name string) []byte {
	if !filepath.IsLocal(name) {
		log.Fatalf("%s is outside of the pack", name)
	}
	content, err := os.ReadFile(filepath.Join(dir, name))
	check(err)
	return content
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
