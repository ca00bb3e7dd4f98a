// Reads an env file, or YAML, as Go programs do, and prints what they read as JSON:
// env-readers docker|compose|godotenv FILE, env-readers kubelet FILE KEY…, env-readers yaml.v3|sigs-yaml FILE
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/compose-spec/compose-go/v2/dotenv"
	"github.com/docker/cli/pkg/kvfile"
	"github.com/joho/godotenv"
	"gopkg.in/yaml.v3"
	kubelet "k8s.io/kubernetes/pkg/kubelet/util/env"
	sigs "sigs.k8s.io/yaml"
)

func main() {
	found, err := read(os.Args[1], os.Args[2], os.Args[3:])
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(found)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func read(reader, path string, keys []string) (any, error) {
	switch reader {
	case "docker":
		lines, err := kvfile.Parse(path, nil)
		found := map[string]string{}
		for _, line := range lines {
			key, value, _ := strings.Cut(line, "=")
			found[key] = value
		}
		return found, err
	case "compose":
		return dotenv.Read(path)
	case "godotenv":
		return godotenv.Read(path)
	case "kubelet":
		found := map[string]string{}
		for _, key := range keys {
			value, err := kubelet.ParseEnv(path, key)
			if err != nil {
				return nil, err
			}
			found[key] = value
		}
		return found, nil
	}
	if reader == "yaml.v3" || reader == "sigs-yaml" {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		// Of whatever type they take them for.
		found := map[string]any{}
		if reader == "yaml.v3" {
			return found, yaml.Unmarshal(text, &found)
		}
		return found, sigs.Unmarshal(text, &found)
	}
	return nil, fmt.Errorf("there is no reader %s", reader)
}
