package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"

	"github.com/transparency-dev/formats/log"
	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"
)

const (
	width  = 256
	height = 8
)

// tiles rebuilds the whole tree from the entries and compares it with every tile of hashes and the root.
func tiles(origin string, key note.Verifier, args []string) error {
	get := func(path string) ([]byte, error) { return fetch(args[0]+"/"+path, args[1:]) }
	signed, err := get("checkpoint")
	if err != nil {
		return err
	}
	head, _, _, err := log.ParseCheckpoint(signed, origin, key)
	if err != nil {
		return err
	}
	hashes := map[uint64][][]byte{}
	collect := func(id compact.NodeID, hash []byte) {
		if id.Level%height == 0 {
			level := uint64(id.Level / height)
			hashes[level] = append(hashes[level], hash)
		}
	}
	tree := (&compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}).NewEmptyRange(0)
	err = each(head.Size, "tile/entries", get, func(bundle []byte, count uint64) error {
		for ; count > 0; count-- {
			if len(bundle) < 2 || len(bundle) < 2+int(binary.BigEndian.Uint16(bundle)) {
				return fmt.Errorf("a bundle of entries is too short")
			}
			length := int(binary.BigEndian.Uint16(bundle))
			if err := tree.Append(rfc6962.DefaultHasher.HashLeaf(bundle[2:2+length]), collect); err != nil {
				return err
			}
			bundle = bundle[2+length:]
		}
		if len(bundle) > 0 {
			return fmt.Errorf("a bundle of entries is too long")
		}
		return nil
	})
	if err != nil {
		return err
	}
	root := rfc6962.DefaultHasher.EmptyRoot()
	if head.Size > 0 {
		root, err = tree.GetRootHash(nil)
	}
	if err != nil {
		return err
	}
	if !bytes.Equal(root, head.Hash) {
		return fmt.Errorf("the entries do not lead to the root of the checkpoint")
	}
	for level, size := uint64(0), head.Size; size > 0; level, size = level+1, size/width {
		next := 0
		err := each(size, fmt.Sprintf("tile/%d", level), get, func(tile []byte, count uint64) error {
			own := bytes.Join(hashes[level][next:next+int(count)], nil)
			next += int(count)
			if !bytes.Equal(own, tile) {
				return fmt.Errorf("a tile of level %d differs from the entries", level)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	fmt.Println(head.Size)
	return nil
}

// each passes every tile of `size` hashes or entries under path to use, in their order.
func each(size uint64, path string, get func(string) ([]byte, error), use func([]byte, uint64) error) error {
	for n := uint64(0); n*width < size; n++ {
		count := min(width, size-n*width)
		name := path + "/" + index(n)
		if count < width {
			name += fmt.Sprintf(".p/%d", count)
		}
		tile, err := get(name)
		if err != nil {
			return err
		}
		if err := use(tile, count); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// index is the path of c2sp.org/tlog-tiles: x001/x234/067 is 1234067.
func index(n uint64) string {
	path := fmt.Sprintf("%03d", n%1000)
	for n /= 1000; n > 0; n /= 1000 {
		path = fmt.Sprintf("x%03d/%s", n%1000, path)
	}
	return path
}

func fetch(url string, header []string) ([]byte, error) {
	request, err := http.NewRequest("GET", url, nil)
	if err != nil {
		return nil, err
	}
	if len(header) == 2 {
		request.Header.Set(header[0], header[1])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != 200 {
		return nil, fmt.Errorf("%s: %s", url, response.Status)
	}
	return io.ReadAll(response.Body)
}
